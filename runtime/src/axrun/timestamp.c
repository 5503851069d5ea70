#include "runtime/src/axrun/timestamp.h"

#include <stdio.h>
#include <time.h>

#define DAY 86400

/* gmtime() would read /etc/localtime first. Days are counted from 0000-03-01, so that the leap day ends a year, in eras of
 * 400 years (146097 days), which are all alike. */
void timestamp_format(int64_t seconds, long nanoseconds, char ret_text[static TIMESTAMP_MAX])
{
	int64_t days = seconds / DAY + 719468;
	int64_t era = days / 146097, day_of_era = days % 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t from_march = (5 * day_of_year + 2) / 153; /* months */
	int64_t month = from_march < 10 ? from_march + 3 : from_march - 9;
	int64_t year = year_of_era + era * 400 + (month <= 2);
	int64_t day = day_of_year - (153 * from_march + 2) / 5 + 1;
	int64_t second = seconds % DAY;
	(void)snprintf(ret_text, TIMESTAMP_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", (int)year, (int)month, (int)day,
		       (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60), nanoseconds);
}

void timestamp_now(char ret_text[static TIMESTAMP_MAX])
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
	timestamp_format(now.tv_sec, now.tv_nsec, ret_text);
}
