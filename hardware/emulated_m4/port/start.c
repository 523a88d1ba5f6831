// Reset, faults, and the console by semihosting: a word to the host costs one instruction, whatever the host is doing.
#include <stdint.h>
#include <string.h>

#include "py/mphal.h"
#include "shared/runtime/semihosting_arm.h"

extern uint32_t _estack, _sidata, _sdata, _edata, _sbss, _ebss;
int main(void);

void Reset_Handler(void) {
    memcpy(&_sdata, &_sidata, (char *)&_edata - (char *)&_sdata);
    memset(&_sbss, 0, (char *)&_ebss - (char *)&_sbss);
    mp_semihosting_init();
    mp_semihosting_exit(main());
}

void fault(void) {
    mp_hal_stdout_tx_str("fault: the processor stopped\n");
    mp_semihosting_exit(1);
}

__attribute__((section(".isr_vector"), used)) static void *const vectors[16] = {
    &_estack, Reset_Handler, fault, fault, fault, fault, fault, fault,
    fault, fault, fault, fault, fault, fault, fault, fault,
};

int mp_hal_stdin_rx_chr(void) {
    return 4; // end of input
}

uintptr_t mp_hal_stdio_poll(uintptr_t flags) {
    return 0;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t size) {
    mp_semihosting_tx_strn(text, size);
    return size;
}

void exit(int status) {
    mp_semihosting_exit(status);
    for (;;) {
    }
}
