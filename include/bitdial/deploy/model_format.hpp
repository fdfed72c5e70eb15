// SPDX-License-Identifier: Apache-2.0
// The model file: a packed network to bytes and back. docs/file-format.md describes every bit.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/network_check.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/io/byte_io.hpp>
#include <bitdial/io/section_file.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Files of major version 1 are read by every build that reads major version 1. A network is
/// written at the lowest minor version that can hold it.
inline constexpr io::SectionFileKind model_file_kind{
    {'B', 'I', 'T', 'D', 'I', 'A', 'L', '\0'}, 1, 4, "bitdial model"};

namespace detail {

enum class ModelSection : std::uint32_t {
  network = 1,
  graph = 2,
  layers = 3,
  encoders = 4,
  plans = 5,
  plane = 6,   ///< one section per weight plane, index = plane
  groups = 7,  ///< of every layer; only in files with grouped convolutions, from version 1.1 on
  preprocessing = 8,  ///< only where it is not the default, from version 1.2 on
  scale_shifts = 9,   ///< of every plan; only in files with scale_shift nodes, from version 1.3 on
};

[[nodiscard]] constexpr io::SectionKey model_section(ModelSection section,
                                                     std::uint32_t index = 0) noexcept {
  return {static_cast<std::uint32_t>(section), index};
}

template <class T>
[[nodiscard]] constexpr std::uint32_t u32(T value) noexcept {
  return static_cast<std::uint32_t>(value);
}

inline constexpr std::uint32_t nested_flag = 1;
inline constexpr std::uint32_t uniform_flag = 1;
inline constexpr std::uint32_t accuracy_flag = 1;

[[nodiscard]] inline std::vector<std::byte> write_network(const NetworkDescription& network) {
  io::ByteWriter out;
  for (const std::int64_t extent : network.input_shape) out.put(u32(extent));
  out.put(u32(network.labels.size()));
  for (const std::string& label : network.labels) out.put_text(label);
  return out.take();
}

inline void read_network(io::ByteReader& in, NetworkDescription& network) {
  const auto h = in.get<std::uint32_t>();
  const auto w = in.get<std::uint32_t>();
  const auto c = in.get<std::uint32_t>();
  network.input_shape = Shape{h, w, c};
  network.labels = std::vector<std::string>(in.get_count(4));
  for (std::string& label : network.labels) label = in.get_text();
}

// The fields of a window in file order.
[[nodiscard]] inline std::array<std::int64_t*, 8> fields_of(ops::Window& w) noexcept {
  return {&w.kernel_h,  &w.kernel_w,  &w.stride_h,   &w.stride_w,
          &w.padding_h, &w.padding_w, &w.dilation_h, &w.dilation_w};
}

[[nodiscard]] inline std::vector<std::byte> write_graph(const NetworkDescription& network) {
  io::ByteWriter out;
  out.put(u32(network.graph.nodes.size()));
  for (ops::GraphNode node : network.graph.nodes) {
    out.put(u32(node.kind));
    for (const std::int32_t input : node.inputs) out.put(input);
    out.put(node.layer);
    for (const std::int64_t* field : fields_of(node.window)) out.put(u32(*field));
  }
  return out.take();
}

inline void read_graph(io::ByteReader& in, NetworkDescription& network) {
  network.graph.nodes = std::vector<ops::GraphNode>(in.get_count(48));
  for (ops::GraphNode& node : network.graph.nodes) {
    node.kind = static_cast<ops::NodeKind>(in.get<std::uint32_t>());
    for (std::int32_t& input : node.inputs) input = in.get<std::int32_t>();
    node.layer = in.get<std::int32_t>();
    for (std::int64_t* field : fields_of(node.window)) *field = in.get<std::uint32_t>();
  }
}

[[nodiscard]] inline std::vector<std::byte> write_layers(const NetworkDescription& network) {
  io::ByteWriter out;
  out.put(u32(network.layers.size()));
  for (const PackedLayer& layer : network.layers) {
    out.put_text(layer.name);
    out.put(u32(layer.kind));
    for (const std::int64_t extent : {layer.cout, layer.kernel_h, layer.kernel_w, layer.cin}) {
      out.put(u32(extent));
    }
    out.put(u32(layer.packs.size()));
    for (const WeightPack& pack : layer.packs) {
      out.put(u32(pack.bits));
      out.put(pack.nested ? nested_flag : 0U);
      out.put(u32(pack.first_plane));
    }
  }
  return out.take();
}

inline void read_layers(io::ByteReader& in, NetworkDescription& network) {
  network.layers = std::vector<PackedLayer>(in.get_count(28));
  for (PackedLayer& layer : network.layers) {
    layer.name = in.get_text();
    layer.kind = static_cast<ops::NodeKind>(in.get<std::uint32_t>());
    for (std::int64_t* extent : {&layer.cout, &layer.kernel_h, &layer.kernel_w, &layer.cin}) {
      *extent = in.get<std::uint32_t>();
    }
    layer.packs = std::vector<WeightPack>(in.get_count(12));
    for (WeightPack& pack : layer.packs) {
      pack.bits = in.get<std::int32_t>();
      pack.nested = (in.get<std::uint32_t>() & nested_flag) != 0;
      pack.first_plane = in.get<std::int32_t>();
    }
  }
}

[[nodiscard]] inline bool has_groups(const NetworkDescription& network) noexcept {
  return std::ranges::any_of(network.layers,
                             [](const PackedLayer& layer) { return layer.groups != 1; });
}

[[nodiscard]] inline bool has_node(const NetworkDescription& network, ops::NodeKind kind) noexcept {
  const auto& nodes = network.graph.nodes;
  return std::ranges::any_of(nodes, [&](const ops::GraphNode& node) { return node.kind == kind; });
}

[[nodiscard]] inline std::vector<std::byte> write_groups(const NetworkDescription& network) {
  io::ByteWriter out;
  out.put(u32(network.layers.size()));
  for (const PackedLayer& layer : network.layers) out.put(u32(layer.groups));
  return out.take();
}

inline void read_groups(io::ByteReader& in, NetworkDescription& network) {
  const std::size_t count = in.get_count(4);
  if (!in.failed() && count != network.layers.size()) {
    return in.fail(concat(count, " groups for ", network.layers.size(), " layers"));
  }
  for (PackedLayer& layer : network.layers) layer.groups = in.get<std::uint32_t>();
}

[[nodiscard]] inline bool has_preprocessing(const NetworkDescription& network) {
  return network.preprocessing != Preprocessing{};
}

[[nodiscard]] inline std::vector<std::byte> write_preprocessing(const NetworkDescription& network) {
  io::ByteWriter out;
  out.put_text(network.preprocessing.channels);
  out.put(network.preprocessing.centre);
  out.put_array(std::span<const float>{network.preprocessing.normalisation.mean});
  out.put_array(std::span<const float>{network.preprocessing.normalisation.deviation});
  return out.take();
}

inline void read_preprocessing(io::ByteReader& in, NetworkDescription& network) {
  network.preprocessing.channels = in.get_text();
  network.preprocessing.centre = in.get<float>();
  network.preprocessing.normalisation.mean = in.get_array<float>();
  network.preprocessing.normalisation.deviation = in.get_array<float>();
}

[[nodiscard]] inline std::vector<std::byte> write_scale_shifts(const NetworkDescription& network) {
  io::ByteWriter out;
  out.put(u32(network.plans.size()));
  for (const PackedPlan& plan : network.plans) {
    out.put(u32(plan.scale_shifts.size()));
    for (const ScaleShift& map : plan.scale_shifts) {
      out.put_array(std::span<const float>{map.multiplier});
      out.put_array(std::span<const float>{map.bias});
    }
  }
  return out.take();
}

inline void read_scale_shifts(io::ByteReader& in, NetworkDescription& network) {
  const std::size_t count = in.get_count(4);
  if (!in.failed() && count != network.plans.size()) {
    return in.fail(concat("per-channel maps of ", count, " plans for ", network.plans.size()));
  }
  for (PackedPlan& plan : network.plans) {
    plan.scale_shifts = std::vector<ScaleShift>(in.get_count(8));
    for (ScaleShift& map : plan.scale_shifts) {
      map.multiplier = in.get_array<float>();
      map.bias = in.get_array<float>();
    }
  }
}

[[nodiscard]] inline std::vector<std::byte> write_encoders(const NetworkDescription& network) {
  io::ByteWriter out;
  out.put(u32(network.encoders.size()));
  for (const ActivationEncoder& encoder : network.encoders) {
    const UniformSteps steps = encoder.uniform.value_or(UniformSteps{0.0F, 0.0F});
    out.put(u32(encoder.bits));
    out.put(encoder.uniform ? uniform_flag : 0U);
    out.put(steps.clip);
    out.put(steps.inverse_step);
    out.put_array(std::span<const float>{encoder.thresholds});
  }
  return out.take();
}

inline void read_encoders(io::ByteReader& in, NetworkDescription& network) {
  network.encoders = std::vector<ActivationEncoder>(in.get_count(20));
  for (ActivationEncoder& encoder : network.encoders) {
    encoder.bits = in.get<std::int32_t>();
    const bool uniform = (in.get<std::uint32_t>() & uniform_flag) != 0;
    UniformSteps steps;
    steps.clip = in.get<float>();
    steps.inverse_step = in.get<float>();
    if (uniform) encoder.uniform = steps;
    encoder.thresholds = in.get_array<float>();
  }
}

inline void write_levels(io::ByteWriter& out, const IntegerLevels& levels) {
  out.put(levels.scale);
  out.put(levels.multiplier);
  out.put(levels.offset);
}

[[nodiscard]] inline IntegerLevels read_levels(io::ByteReader& in) {
  IntegerLevels levels;
  levels.scale = in.get<float>();
  levels.multiplier = in.get<std::int32_t>();
  levels.offset = in.get<std::int32_t>();
  return levels;
}

[[nodiscard]] inline std::vector<std::byte> write_plans(const NetworkDescription& network) {
  io::ByteWriter out;
  out.put(u32(network.plans.size()));
  for (const PackedPlan& plan : network.plans) {
    const MeasuredAccuracy accuracy = plan.accuracy.value_or(MeasuredAccuracy{});
    out.put_text(plan.name());
    out.put(plan.accuracy ? accuracy_flag : 0U);
    out.put(accuracy.top1);
    out.put(accuracy.samples);
    out.put_text(accuracy.data_set);
    out.put(u32(plan.layers.size()));
    for (const LayerState& state : plan.layers) {
      out.put(static_cast<std::uint16_t>(state.executed.w));
      out.put(static_cast<std::uint16_t>(state.pack));
      out.put(u32(state.executed.a));
      write_levels(out, state.weight_levels);
      write_levels(out, state.activation_levels);
      out.put(state.encoder);
      out.put_array(std::span<const float>{state.multiplier});
      out.put_array(std::span<const float>{state.bias});
    }
  }
  return out.take();
}

inline void read_plans(io::ByteReader& in, NetworkDescription& network) {
  network.plans = std::vector<PackedPlan>(in.get_count(32));
  for (PackedPlan& plan : network.plans) {
    auto requested = PrecisionPlan::parse(in.get_text());
    if (!in.failed() && !requested) return in.fail(requested.error());
    if (requested) plan.requested = *std::move(requested);
    const bool measured = (in.get<std::uint32_t>() & accuracy_flag) != 0;
    MeasuredAccuracy accuracy;
    accuracy.top1 = in.get<double>();
    accuracy.samples = in.get<std::uint64_t>();
    accuracy.data_set = in.get_text();
    if (measured) plan.accuracy = std::move(accuracy);
    plan.layers = std::vector<LayerState>(in.get_count(44));
    for (LayerState& state : plan.layers) {
      state.executed.w = in.get<std::uint16_t>();
      state.pack = in.get<std::uint16_t>();
      state.executed.a = in.get<std::int32_t>();
      state.weight_levels = read_levels(in);
      state.activation_levels = read_levels(in);
      state.encoder = in.get<std::int32_t>();
      state.multiplier = in.get_array<float>();
      state.bias = in.get_array<float>();
    }
  }
}

/// Reads one metadata section with `read`, which must use it up unless the file is newer.
template <class Read>
[[nodiscard]] Result<void> read_model_section(const io::SectionFile& file, ModelSection section,
                                              std::string_view name, Read read) {
  const auto bytes = file.section(model_section(section));
  if (!bytes) return bytes.failure();
  io::ByteReader in{*bytes};
  read(in);
  if (!in.failed() && in.remaining() > 0 && file.minor() <= model_file_kind.minor) {
    in.fail(concat(in.remaining(), " bytes are left over at offset ", in.offset()));
  }
  if (in.failed()) {
    return Failure{
        concat(file.where(), ": damaged bitdial model: section ", name, ": ", in.error())};
  }
  return {};
}

/// True when a layer reads another pack than the first that serves its width.
[[nodiscard]] inline bool has_later_packs(const NetworkDescription& network) noexcept {
  return std::ranges::any_of(network.plans, [](const PackedPlan& plan) {
    return std::ranges::any_of(plan.layers,
                               [](const LayerState& state) { return state.pack != 0; });
  });
}

/// The lowest minor version that can hold `network`.
[[nodiscard]] inline std::uint32_t minor_version_of(const NetworkDescription& network) {
  using ops::NodeKind;
  if (has_later_packs(network)) return 4;
  if (has_node(network, NodeKind::concat) || has_node(network, NodeKind::scale_shift)) return 3;
  if (has_preprocessing(network)) return 2;
  return has_groups(network) ? 1 : 0;
}

}  // namespace detail

/// A parsed model file: the description, the shapes that follow from it, and the weight planes in
/// place. The planes' checksums are not looked at.
struct ParsedModel {
  NetworkDescription network;
  std::vector<ImageShape> shapes;  ///< of every graph node
  std::vector<std::span<const std::byte>> planes;
};

/// The bytes of a model file. The same network gives the same bytes.
///
/// Errors: what `check_network` finds.
[[nodiscard]] inline Result<std::vector<std::byte>> model_bytes(const PackedNetwork& network) {
  std::vector<std::size_t> plane_sizes;
  for (const auto& plane : network.planes) plane_sizes.push_back(plane.size());
  if (const auto checked = check_network(network, plane_sizes); !checked) {
    return Failure{concat("packed network: ", checked.error())};
  }
  using detail::ModelSection, detail::model_section;
  io::SectionFileKind kind = model_file_kind;
  kind.minor = detail::minor_version_of(network);
  io::SectionFileWriter writer{kind};
  writer.add(model_section(ModelSection::network), detail::write_network(network));
  writer.add(model_section(ModelSection::graph), detail::write_graph(network));
  writer.add(model_section(ModelSection::layers), detail::write_layers(network));
  writer.add(model_section(ModelSection::encoders), detail::write_encoders(network));
  writer.add(model_section(ModelSection::plans), detail::write_plans(network));
  if (detail::has_groups(network)) {
    writer.add(model_section(ModelSection::groups), detail::write_groups(network));
  }
  if (detail::has_preprocessing(network)) {
    writer.add(model_section(ModelSection::preprocessing), detail::write_preprocessing(network));
  }
  if (detail::has_node(network, ops::NodeKind::scale_shift)) {
    writer.add(model_section(ModelSection::scale_shifts), detail::write_scale_shifts(network));
  }
  for (std::size_t p = 0; p < network.planes.size(); ++p) {
    writer.add(model_section(ModelSection::plane, static_cast<std::uint32_t>(p)),
               network.planes[p]);
  }
  return writer.finish();
}

/// Reads and proves the description in `file`. Errors name the file, the section and the reason.
[[nodiscard]] inline Result<ParsedModel> parse_model(const io::SectionFile& file) {
  using detail::ModelSection;
  ParsedModel model;
  NetworkDescription& network = model.network;
  const auto read = [&](ModelSection section, std::string_view name, auto reader) {
    return detail::read_model_section(file, section, name,
                                      [&](io::ByteReader& in) { reader(in, network); });
  };
  for (const Result<void>& done : {read(ModelSection::network, "network", detail::read_network),
                                   read(ModelSection::graph, "graph", detail::read_graph),
                                   read(ModelSection::layers, "layers", detail::read_layers),
                                   read(ModelSection::encoders, "encoders", detail::read_encoders),
                                   read(ModelSection::plans, "plans", detail::read_plans)}) {
    if (!done) return done.failure();
  }
  if (file.count(detail::u32(ModelSection::groups)) > 0) {
    if (auto done = read(ModelSection::groups, "groups", detail::read_groups); !done) {
      return done.failure();
    }
  }
  if (file.count(detail::u32(ModelSection::preprocessing)) > 0) {
    auto done = read(ModelSection::preprocessing, "preprocessing", detail::read_preprocessing);
    if (!done) return done.failure();
  }
  if (file.count(detail::u32(ModelSection::scale_shifts)) > 0) {
    auto done = read(ModelSection::scale_shifts, "scale_shifts", detail::read_scale_shifts);
    if (!done) return done.failure();
  }
  std::vector<std::size_t> plane_sizes;
  const std::uint32_t plane_count = file.count(detail::u32(ModelSection::plane));
  for (std::uint32_t p = 0; p < plane_count; ++p) {
    model.planes.push_back(file.unverified(detail::model_section(ModelSection::plane, p)));
    plane_sizes.push_back(model.planes.back().size());
  }
  auto shapes = check_network(network, plane_sizes);
  if (!shapes) return Failure{concat(file.where(), ": damaged bitdial model: ", shapes.error())};
  model.shapes = *std::move(shapes);
  return model;
}

}  // namespace bitdial::inline BITDIAL_ABI
