// SPDX-License-Identifier: Apache-2.0
#include <every_header.hpp>

int* seen_by_second_unit();

int* seen_by_second_unit() {
  return &bitdial::detail::requested_threads();
}
