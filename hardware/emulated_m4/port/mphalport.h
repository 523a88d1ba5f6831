// Time, from the timer that counts instructions.
#include <stdint.h>

#include "shared/runtime/interrupt_char.h"

void mp_hal_set_interrupt_char(int c);
mp_uint_t mp_hal_ticks_us(void);
mp_uint_t mp_hal_ticks_ms(void);
uint64_t mp_hal_time_ns(void);
void mp_hal_delay_us(mp_uint_t us);
void mp_hal_delay_ms(mp_uint_t ms);
static inline mp_uint_t mp_hal_ticks_cpu(void) {
    return mp_hal_ticks_us();
}
