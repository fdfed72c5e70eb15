// SPDX-License-Identifier: Apache-2.0
// Images of which some cannot be read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <support/training_run.hpp>

namespace test {

/// The images of `training_data`; every one whose number leaves 4 by division by 10 is damaged.
class DamagedSource final : public bitdial::data::ImageSource {
 public:
  const std::string& name() const noexcept override { return whole_.name(); }
  std::int64_t size() const noexcept override { return whole_.size(); }
  const std::vector<std::string>& class_names() const noexcept override {
    return whole_.class_names();
  }
  std::int32_t label(std::int64_t index) const noexcept override { return whole_.label(index); }
  bitdial::Shape image_shape() const noexcept override { return whole_.image_shape(); }
  bitdial::TensorView<const std::uint8_t> read(std::int64_t index,
                                               bitdial::data::ImageMemory& memory) const override {
    if (index % 10 == 4) throw bitdial::FileError(bitdial::concat("image ", index, ": cut off"));
    return whole_.read(index, memory);
  }

 private:
  const bitdial::data::Dataset& whole_ = training_data();
};

}  // namespace test
