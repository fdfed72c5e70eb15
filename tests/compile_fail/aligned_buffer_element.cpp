// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: AlignedBuffer<T>: T must be trivially copyable
#include <string>

#include <bitdial/core/aligned_buffer.hpp>

#ifdef GOOD
using Element = char;
#else
using Element = std::string;
#endif

template class bitdial::AlignedBuffer<Element>;
