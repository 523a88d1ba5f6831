// The module `emulated`: how many instructions the processor has carried out.
//
// Under `-icount shift=4` one instruction takes 16 ns of virtual time, whatever the host does, and timer 0 (CMSDK, 25 MHz) counts
// that time down: 2 ticks are 5 instructions.
#include "py/mphal.h"
#include "py/runtime.h"

#define TIMER_CONTROL (*(volatile uint32_t *)0x40000000)
#define TIMER_VALUE (*(volatile uint32_t *)0x40000004)
#define TIMER_RELOAD (*(volatile uint32_t *)0x40000008)
#define TICKS_PER_US (25)

static uint64_t ticks_before;
static uint32_t last;

void timer_init(void) {
    TIMER_RELOAD = 0xffffffff;
    TIMER_VALUE = 0xffffffff;
    TIMER_CONTROL = 1;
}

// It wraps after 171 s, so who counts asks more often than that.
static uint64_t ticks(void) {
    uint32_t now = 0xffffffff - TIMER_VALUE;
    if (now < last) {
        ticks_before += 1ull << 32;
    }
    last = now;
    return ticks_before + now;
}

mp_uint_t mp_hal_ticks_us(void) {
    return ticks() / TICKS_PER_US;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return ticks() / (TICKS_PER_US * 1000);
}

uint64_t mp_hal_time_ns(void) {
    return ticks() * (1000 / TICKS_PER_US);
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t until = ticks() + (uint64_t)us * TICKS_PER_US;
    while (ticks() < until) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    mp_hal_delay_us(ms * 1000);
}

// Return the count modulo 2^30: a small integer, so that counting costs no heap.
static mp_obj_t emulated_instructions(void) {
    return MP_OBJ_NEW_SMALL_INT((ticks() * 5 / 2) & 0x3fffffff);
}
static MP_DEFINE_CONST_FUN_OBJ_0(emulated_instructions_obj, emulated_instructions);

static const mp_rom_map_elem_t emulated_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_emulated) },
    { MP_ROM_QSTR(MP_QSTR_instructions), MP_ROM_PTR(&emulated_instructions_obj) },
};
static MP_DEFINE_CONST_DICT(emulated_globals, emulated_globals_table);

const mp_obj_module_t emulated_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&emulated_globals,
};
MP_REGISTER_MODULE(MP_QSTR_emulated, emulated_module);
