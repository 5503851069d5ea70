/* Tells the address sanitizer that the stack changes; nothing in an ordinary build. */
#pragma once

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define FIBER_SANITIZER 1
#endif

#ifdef FIBER_SANITIZER
#include <sanitizer/common_interface_defs.h>
#else
#define __sanitizer_start_switch_fiber(save, bottom, size) ((void)(save), (void)(bottom), (void)(size))
#define __sanitizer_finish_switch_fiber(save, bottom, size) ((void)(save), (void)(bottom), (void)(size))
#endif
