/* axle.v1 in C: messages (Axle__AttachRequest ...) and services (axle__containers__descriptor, axle__images__descriptor,
 * axle__node__descriptor). A oneof is an enum `what_case` and an unnamed union. */
#pragma once

#include "proto/cri.h"

#include "proto/axle/v1/axle.pb-c.h"
#include "proto/axle/v1/container.pb-c.h"
#include "proto/axle/v1/image.pb-c.h"
#include "proto/axle/v1/node.pb-c.h"
#include "proto/axle/v1/session.pb-c.h"
