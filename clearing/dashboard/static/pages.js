// Tells a reader whose page can no longer refresh itself that the figures may be old. A refresh that works takes the notice away.
"use strict";

for (const trouble of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(trouble, () => {
    const notice = document.getElementById("offline");
    if (notice) notice.hidden = false;
  });
}
