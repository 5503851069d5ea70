#include "cli/src/names.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/array.h"

#define NAME_LENGTH_MAX 128

static const char *const ADJECTIVES[] = {
	"agile", "amber", "brave", "bright", "brisk",  "calm",	 "clever", "cosy",  "crisp", "eager",  "early", "fair",
	"fast",	 "firm",  "fresh", "gentle", "glad",   "golden", "grand",  "happy", "hardy", "honest", "jolly", "keen",
	"kind",	 "light", "lively", "lucky", "merry",  "mild",	 "neat",   "noble", "proud", "quick",  "quiet", "rapid",
	"ready", "sharp", "silent", "smart", "smooth", "solid",	 "steady", "still", "sunny", "swift",  "tidy",	"vivid",
	"warm",	 "wise",
};

static const char *const NOUNS[] = {
	"axle",	   "beacon",  "bearing", "bonnet", "brake",  "bumper",	"camshaft", "chassis", "clutch", "coil",
	"compass", "coupling", "crank",	 "damper", "dynamo", "exhaust", "fender",   "filter",  "flywheel", "fuse",
	"gasket",  "gauge",   "gearbox", "hub",	   "lamp",   "lever",	"manifold", "mirror",  "motor",	   "pedal",
	"pinion",  "piston",  "pulley",	 "pump",   "radiator", "relay", "rotor",    "rudder",  "sensor",   "shaft",
	"spoke",   "spring",  "starter", "throttle", "torque", "tyre",	"valve",    "visor",   "wheel",	   "wiper",
};

void chance_fill(void *bytes, size_t size)
{
	ssize_t got = getrandom(bytes, size, 0); /* up to 256 bytes it gives all that was asked for: getrandom(2) */
	assert(got == (ssize_t)size);
	(void)got;
}

void name_make(char ret_name[64])
{
	uint32_t chance[2] = {0};
	chance_fill(chance, sizeof chance);
	(void)snprintf(ret_name, 64, "%s_%s", ADJECTIVES[chance[0] % ARRAY_COUNT(ADJECTIVES)],
		       NOUNS[chance[1] % ARRAY_COUNT(NOUNS)]);
}

bool name_is_valid(const char *name)
{
	if (!isalnum((unsigned char)*name) || strlen(name) > NAME_LENGTH_MAX)
		return false;
	for (const char *c = name + 1; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_.-", *c))
			return false;
	return true;
}
