/* A compiled seccomp filter. */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>

struct seccomp_program {
	struct sock_filter *filter; /* malloc()ed; NULL: none */
	unsigned short length;	    /* instructions */
	unsigned flags;		    /* SECCOMP_FILTER_FLAG_* */
	bool notifies;		    /* has SCMP_ACT_NOTIFY: loading gives a listener */
};
