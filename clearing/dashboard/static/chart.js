// Draws the cashless share by day from the table beside it, which says the same in words.
"use strict";

const place = document.getElementById("chart");
const rows = [...document.querySelectorAll("#shares tbody tr")].reverse();
const dark = window.matchMedia("(prefers-color-scheme: dark)");

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A day that is still open has a hollow point; a day without a whole has none.
function line(which, symbol, type, stroke) {
  const hollow = { color: colour("--pico-background-color"), borderColor: stroke, borderWidth: 2 };
  const data = rows.map((row) => ({
    value: row.dataset[which] === "" ? null : Number(row.dataset[which]),
    itemStyle: "closed" in row.dataset ? { color: stroke } : hollow,
  }));
  const lineStyle = { width: 2.5, type, color: stroke };
  return { name: place.dataset[which], type: "line", data, symbol, symbolSize: 9, showAllSymbol: rows.length < 40, lineStyle };
}

// The written figures of the table, so that a number looks the same everywhere. Text only: no markup, no styles.
function tooltip(points) {
  const row = rows[points[0].dataIndex];
  const written = row.querySelectorAll("strong");
  const day = row.dataset.day + ("closed" in row.dataset ? "" : ` (${place.dataset.open})`);
  return [day, ...points.map((point) => `${point.marker} ${point.seriesName}  ${written[point.seriesIndex].textContent}`)].join("\n");
}

function options() {
  const [trips, revenue] = [colour("--jolaqy-trips"), colour("--jolaqy-revenue")];
  const text = { color: colour("--pico-color"), fontFamily: getComputedStyle(document.body).fontFamily };
  return {
    animation: false,
    color: [trips, revenue],
    textStyle: text,
    legend: { top: 0, left: 0, itemGap: 24, textStyle: text },
    grid: { top: 44, left: 4, right: 16, bottom: 4, containLabel: true },
    tooltip: {
      trigger: "axis",
      renderMode: "richText",
      formatter: tooltip,
      backgroundColor: colour("--pico-card-background-color"),
      borderColor: colour("--pico-muted-border-color"),
      textStyle: text,
    },
    xAxis: {
      type: "category",
      data: rows.map((row) => row.dataset.day),
      axisLabel: { color: colour("--pico-muted-color"), hideOverlap: true },
      axisLine: { lineStyle: { color: colour("--jolaqy-line") } },
      axisTick: { show: false },
    },
    yAxis: {
      type: "value",
      min: 0,
      max: 100,
      axisLabel: { color: colour("--pico-muted-color"), formatter: "{value} %" },
      splitLine: { lineStyle: { color: colour("--jolaqy-line") } },
    },
    series: [
      line("trips", "circle", "solid", trips),
      line("revenue", "rect", "dashed", revenue),
    ],
  };
}

if (place) {
  const chart = window.echarts.init(place, null, { renderer: "svg" });
  chart.setOption(options());
  dark.addEventListener("change", () => chart.setOption(options(), true));
  new ResizeObserver(() => chart.resize()).observe(place);
}
