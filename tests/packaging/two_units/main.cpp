// SPDX-License-Identifier: Apache-2.0
// Every header in two translation units: a function that is not inline would be defined twice.
#include <every_header.hpp>

int* seen_by_second_unit();

int main() {
  return &bitdial::detail::requested_threads() == seen_by_second_unit() ? 0 : 1;
}
