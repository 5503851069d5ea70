/* The containers that a verb is about: those named, or all. */
#pragma once

#include <stdbool.h>

struct cli;
struct err;

/* *words: NULL-terminated names. With @all and none named, it becomes the ids of this owner's containers, the running ones or
 * (@all_states) every one. Errors: -EINVAL (neither or both), those of the list. */
int select_containers(struct cli *cli, bool all, bool all_states, char ***words, struct err *err);
