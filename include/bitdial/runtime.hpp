// SPDX-License-Identifier: Apache-2.0
// Everything that running a packed model needs, and nothing else: the standard library and
// intrinsics; no exceptions, no RTTI, no output.
#pragma once

#include <bitdial/deploy/calibrate.hpp>
#include <bitdial/deploy/cascade.hpp>
#include <bitdial/deploy/clip_consensus.hpp>
#include <bitdial/deploy/fit_cascade.hpp>
#include <bitdial/deploy/governor.hpp>
#include <bitdial/deploy/governor_trace.hpp>
#include <bitdial/deploy/ladder.hpp>
#include <bitdial/deploy/linux_sensors.hpp>
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/deploy/profile_text.hpp>
#include <bitdial/deploy/profiler.hpp>
#include <bitdial/deploy/session.hpp>
#include <bitdial/io/mapped_file.hpp>
#include <bitdial/kernels/dispatch.hpp>
#include <bitdial/quant/plan.hpp>
#include <bitdial/quant/precision.hpp>
#include <bitdial/version.hpp>
