/* axle signal ...: the vehicle's signals, by axsignald's socket */
#include "cli/src/verb.h"

extern const struct verb verb_signal_adaptor, verb_signal_can, verb_signal_catalogue, verb_signal_force, verb_signal_get,
	verb_signal_grants, verb_signal_ls, verb_signal_meta, verb_signal_record, verb_signal_replay, verb_signal_set,
	verb_signal_sim, verb_signal_state, verb_signal_unforce, verb_signal_wait, verb_signal_watch, verb_signal_who;

static const struct verb *const BELOW[] = {
	&verb_signal_ls,     &verb_signal_get,	   &verb_signal_set,	&verb_signal_watch, &verb_signal_wait,
	&verb_signal_meta,   &verb_signal_state,   &verb_signal_who,	&verb_signal_grants, &verb_signal_force,
	&verb_signal_unforce, &verb_signal_record, &verb_signal_replay, &verb_signal_sim, &verb_signal_can,
	&verb_signal_catalogue, &verb_signal_adaptor, NULL,
};

const struct verb verb_signal = {
	.name = "signal",
	.arguments = "COMMAND",
	.summary = "read, set, watch and provide vehicle signals",
	.below = BELOW,
};
