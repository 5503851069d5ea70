/* CRI v1 in C: the messages (Cri__VersionRequest ...) and services (cri__runtime_service__descriptor) that protobuf-c makes
 * of proto/cri/v1/. Strings that are absent are "", never NULL; messages that are absent are NULL. */
#pragma once

#undef linux /* a field's name in CRI, and a macro of GNU C */

#include "proto/cri/v1/container.pb-c.h"
#include "proto/cri/v1/image.pb-c.h"
#include "proto/cri/v1/runtime.pb-c.h"
#include "proto/cri/v1/sandbox.pb-c.h"
#include "proto/cri/v1/service.pb-c.h"
#include "proto/cri/v1/stats.pb-c.h"
#include "proto/cri/v1/types.pb-c.h"
