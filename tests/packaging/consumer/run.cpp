// SPDX-License-Identifier: Apache-2.0
#include <bitdial/runtime.hpp>

int main() {
  return BITDIAL_VERSION_MAJOR == 0 && bitdial::Shape{2, 3}.size() == 6 ? 0 : 1;
}
