// SPDX-License-Identifier: Apache-2.0
// Codes to the values on their line of integers.
// Vocabulary: F32, f32_lanes, broadcast_f32, store_f32, fmadd_f32, mul_f32, floats_of,
// ints_of_codes (of as many codes as a vector has lanes).

inline void decode(const Decode& q) noexcept {
  const F32 scale = broadcast_f32(&q.scale);
  const F32 multiplier = broadcast_f32(&q.multiplier), offset = broadcast_f32(&q.offset);
  std::int64_t i = 0;
  for (; i + f32_lanes <= q.count; i += f32_lanes) {
    const F32 level = fmadd_f32(multiplier, floats_of(ints_of_codes(q.codes + i)), offset);
    store_f32(q.y + i, mul_f32(scale, level));
  }
  Decode rest = q;
  rest.codes += i;
  rest.y += i;
  rest.count -= i;
  scalar::decode(rest);
}
