// SPDX-License-Identifier: Apache-2.0
// expect: nodiscard|unused-result
#include <bitdial/core/result.hpp>

bitdial::Result<void> save();

inline void close() {
#ifdef GOOD
  if (!save()) return;
#else
  save();
#endif
}
