// Import /rom/main with a device's heap, and leave with its exit code: 1 when it ended with an exception.
#include <stdlib.h>

#include "py/builtin.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/objarray.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "extmod/vfs.h"
#include "shared/runtime/gchelper.h"

// The host puts the sizes of heap and program, and the program, here before it lets the processor run.
#define IMAGE ((const uint32_t *)0x21000000)
#define HEAP_BYTES (IMAGE[0])
#define ROMFS_BYTES (IMAGE[1])
#define ROMFS (&IMAGE[4])
#define HEAP_BYTES_MAX (3 * 1024 * 1024)
#define STACK_BYTES (32 * 1024)

static uint32_t heap[HEAP_BYTES_MAX / sizeof(uint32_t)];
extern uint32_t _estack;
void timer_init(void);

static int run_main(void) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_import_name(MP_QSTR_main, mp_const_none, MP_OBJ_NEW_SMALL_INT(0));
        nlr_pop();
        return 0;
    }
    mp_obj_t error = MP_OBJ_FROM_PTR(nlr.ret_val);
    if (mp_obj_is_subclass_fast(MP_OBJ_FROM_PTR(mp_obj_get_type(error)), MP_OBJ_FROM_PTR(&mp_type_SystemExit))) {
        mp_obj_t code = mp_obj_exception_get_value(error);
        return mp_obj_is_int(code) ? mp_obj_get_int(code) : code != mp_const_none;
    }
    mp_obj_print_exception(&mp_plat_print, error);
    return 1;
}

int main(void) {
    timer_init();
    mp_stack_set_top(&_estack);
    mp_stack_set_limit(STACK_BYTES);
    gc_init(heap, (char *)heap + HEAP_BYTES);
    mp_init();
    return run_main();
}

mp_obj_t mp_vfs_rom_ioctl(size_t n_args, const mp_obj_t *args) {
    switch (mp_obj_get_int(args[0])) {
        case MP_VFS_ROM_IOCTL_GET_NUMBER_OF_SEGMENTS:
            return MP_OBJ_NEW_SMALL_INT(1);
        case MP_VFS_ROM_IOCTL_GET_SEGMENT:
            return mp_obj_new_memoryview('B', ROMFS_BYTES, (void *)ROMFS);
        default:
            return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
    }
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    gc_collect_end();
}

void nlr_jump_fail(void *value) {
    mp_hal_stdout_tx_str("fault: an exception that nobody caught\n");
    exit(1);
}
