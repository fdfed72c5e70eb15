// SPDX-License-Identifier: Apache-2.0
// A model file, opened: immutable, shared by any number of sessions and threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/model_format.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/io/mapped_file.hpp>
#include <bitdial/io/section_file.hpp>
#include <bitdial/io/write_file.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// When the checksums of weight planes are compared. Everything else is always proved at opening.
enum class WeightCheck : std::uint8_t {
  at_opening,  ///< reads the whole file once
  when_used,   ///< by the sessions, for the planes that their plans read; others stay untouched
};

struct ModelOptions {
  WeightCheck weight_check = WeightCheck::at_opening;
  io::FileAccess access = io::FileAccess::mapped;  ///< of `Model::open`
};

/// A packed network in a file, memory-mapped or read into memory, or in the caller's bytes, which
/// may be constants of the program. Weights are used where they lie.
///
/// Copies are cheap and share the file. All members are const and may be called from any thread.
class Model {
 public:
  /// Opens the file at `path`. Errors: the path is empty, the file cannot be read, is no model
  /// file, has another major version, is truncated or damaged; each with the path, what was
  /// expected and what was found.
  [[nodiscard]] static Result<Model> open(const std::string& path,
                                          const ModelOptions& options = {}) {
    if (path.empty()) return Failure{"model: the path is empty, expected that of a model file"};
    auto file = io::MappedFile::open(path, options.access);
    if (!file) return file.failure();
    return read(*std::move(file), {}, path, options);
  }

  /// Reads `bytes`, which must stay unchanged as long as the model or a copy of it lives.
  [[nodiscard]] static Result<Model> from_bytes(std::span<const std::byte> bytes,
                                                const ModelOptions& options = {}) {
    return read({}, bytes, "model in memory", options);
  }

  /// [H, W, C] of one image.
  [[nodiscard]] const Shape& input_shape() const noexcept { return network().input_shape; }
  /// One per output value, or none.
  [[nodiscard]] const std::vector<std::string>& labels() const noexcept { return network().labels; }
  /// The label of a class; empty where the file has none.
  [[nodiscard]] std::string_view label(std::int32_t index) const noexcept {
    const bool known = index >= 0 && static_cast<std::size_t>(index) < labels().size();
    return known ? std::string_view{labels()[static_cast<std::size_t>(index)]} : std::string_view{};
  }
  /// How an image becomes the input; sessions normalise, the crop is the caller's.
  [[nodiscard]] const Preprocessing& preprocessing() const noexcept {
    return network().preprocessing;
  }
  [[nodiscard]] const std::vector<PackedPlan>& plans() const noexcept { return network().plans; }
  [[nodiscard]] const std::vector<PackedLayer>& layers() const noexcept { return network().layers; }
  /// Values per image that a session returns.
  [[nodiscard]] std::int64_t output_size() const noexcept {
    return state_->parsed.shapes.back().size();
  }

  /// A number that names the contents of the file: files with another content have another one.
  [[nodiscard]] std::uint64_t checksum() const noexcept { return state_->file.checksum(); }

  /// The index of the plan with this name, `w4a4`; the error lists the plans that exist. Allocates
  /// nothing on success.
  [[nodiscard]] Result<std::size_t> find_plan(std::string_view name) const {
    const std::vector<std::string>& names = state_->plan_names;
    const auto found = std::ranges::find(names, name);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
    return Failure{concat("plan ", detail::quoted(name), " is not in this model; it has ",
                          join_quoted(names))};
  }
  /// Error: an index beyond `plans()`, with those that there are.
  [[nodiscard]] Result<void> check_plan(std::size_t plan) const {
    const std::size_t count = plans().size();
    if (plan < count) return {};
    return Failure{concat("plan ", plan, " is not in this model, expected ",
                          count == 1 ? "0" : concat("0 to ", count - 1))};
  }
  [[nodiscard]] Result<std::size_t> find_plan(const PrecisionPlan& plan) const {
    const auto found =
        std::ranges::find_if(plans(), [&](const PackedPlan& own) { return own.requested == plan; });
    if (found != plans().end()) return static_cast<std::size_t>(found - plans().begin());
    return find_plan(plan.text());
  }

  /// Bytes of packed weights that a plan reads; `plan` is an index into `plans()`.
  [[nodiscard]] std::int64_t packed_bytes(std::size_t plan) const noexcept {
    BITDIAL_ASSERT(plan < plans().size());
    return network().packed_bytes(plans()[plan]);
  }

  /// The whole description.
  [[nodiscard]] const NetworkDescription& network() const noexcept {
    return state_->parsed.network;
  }
  /// The shape of every graph node's value.
  [[nodiscard]] const std::vector<ImageShape>& shapes() const noexcept {
    return state_->parsed.shapes;
  }
  /// The planes of a pack, `pack.bits` of them.
  [[nodiscard]] std::span<const std::span<const std::byte>> planes(
      const WeightPack& pack) const noexcept {
    return std::span{state_->parsed.planes}.subspan(static_cast<std::size_t>(pack.first_plane),
                                                    static_cast<std::size_t>(pack.bits));
  }
  /// Compares the checksums of the first `width` planes of a pack.
  [[nodiscard]] Result<void> check_planes(const WeightPack& pack, int width) const {
    for (int p = 0; p < width; ++p) {
      const auto plane = static_cast<std::uint32_t>(pack.first_plane + p);
      const auto bytes =
          state_->file.section(detail::model_section(detail::ModelSection::plane, plane));
      if (!bytes) return bytes.failure();
    }
    return {};
  }
  /// True when the planes were compared at opening.
  [[nodiscard]] bool planes_checked() const noexcept { return state_->planes_checked; }

 private:
  struct State {
    io::MappedFile mapping;
    io::SectionFile file;
    ParsedModel parsed;
    std::vector<std::string> plan_names;
    bool planes_checked = false;
  };

  explicit Model(std::shared_ptr<const State> state) : state_{std::move(state)} {}

  [[nodiscard]] static Result<Model> read(io::MappedFile mapping, std::span<const std::byte> bytes,
                                          std::string_view where, const ModelOptions& options) {
    if (bytes.empty()) bytes = mapping.bytes();
    auto file = io::SectionFile::parse(bytes, model_file_kind, where);
    if (!file) return file.failure();
    const bool check_now = options.weight_check == WeightCheck::at_opening;
    if (check_now) {
      if (const auto verified = file->verify(); !verified) return verified.failure();
    }
    auto parsed = parse_model(*file);
    if (!parsed) return parsed.failure();
    std::vector<std::string> names;
    for (const PackedPlan& plan : parsed->network.plans) names.push_back(plan.name());
    return Model{std::make_shared<const State>(State{
        std::move(mapping), *std::move(file), *std::move(parsed), std::move(names), check_now})};
  }

  std::shared_ptr<const State> state_;
};

/// Packs `network` into the file at `path`, replacing it atomically.
[[nodiscard]] inline Result<void> write_model(const std::string& path,
                                              const PackedNetwork& network) {
  const auto bytes = model_bytes(network);
  if (!bytes) return bytes.failure();
  return io::write_file(path, *bytes);
}

}  // namespace bitdial::inline BITDIAL_ABI
