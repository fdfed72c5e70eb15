// SPDX-License-Identifier: Apache-2.0
// The model file is pinned: a hand-made network gives the bytes of the committed file, that file
// loads and computes what it always did, and its fields stand where docs/file-format.md says.
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/model_format.hpp>
#include <bitdial/deploy/session.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <support/sealed.hpp>

namespace {

using namespace bitdial;

// 1 x 1 convolution of 3 channels to 2, ReLU, mean over the image, 2 classes. Nested 2-bit weights.
PackedNetwork hand_made() {
  PackedNetwork network;
  network.input_shape = {1, 2, 3};
  network.labels = {"no", "yes"};
  using ops::NodeKind;
  auto& graph = network.graph;
  graph.append({.kind = NodeKind::input});
  graph.append({.kind = NodeKind::conv2d, .inputs = {0, -1}, .layer = 0, .window = {}});
  graph.append({.kind = NodeKind::relu, .inputs = {1, -1}});
  graph.append({.kind = NodeKind::global_average_pool, .inputs = {2, -1}});
  graph.append({.kind = NodeKind::linear, .inputs = {3, -1}, .layer = 1});
  network.layers.push_back({.name = "stem",
                            .kind = NodeKind::conv2d,
                            .cout = 2,
                            .kernel_h = 1,
                            .kernel_w = 1,
                            .cin = 3,
                            .packs = {}});
  network.layers.push_back({.name = "head",
                            .kind = NodeKind::linear,
                            .cout = 2,
                            .kernel_h = 1,
                            .kernel_w = 1,
                            .cin = 2,
                            .packs = {}});
  const std::vector<std::uint8_t> stem{0, 1, 2, 3, 2, 1}, head{3, 0, 1, 2};
  network.add_weights(0, stem, {.bits = 2, .nested = true});
  network.add_weights(1, head, {.bits = 2, .nested = false});
  const auto one_bit =
      network.add_encoder({.bits = 1,
                           .thresholds = {0.5F},
                           .uniform = UniformSteps{.clip = 1.0F, .inverse_step = 1.0F}});
  network.encoders[0].thresholds[0] = 0x1.000002p-1F;  // half to even: 0.5 itself gives 0
  const auto two_bits = network.add_encoder({.bits = 2, .thresholds = {-1.0F, 0.25F, 2.0F}});
  for (const int w : {2, 1}) {
    PackedPlan plan{.requested = PrecisionPlan{Precision{w, 1}}, .layers = {}};
    plan.layers.push_back({.executed = {w, 1},
                           .weight_levels = {0.5F, 1, -(1 << (w - 1))},
                           .activation_levels = {1.0F, 1, 0},
                           .encoder = one_bit,
                           .multiplier = {0.5F, 0.25F},
                           .bias = {1.0F, -0.125F}});
    plan.layers.push_back({.executed = {2, 2},
                           .weight_levels = {1.0F, 2, -3},
                           .activation_levels = {1.0F, 2, -3},
                           .encoder = two_bits,
                           .multiplier = {1.0F, 2.0F},
                           .bias = {0.0F, 3.0F}});
    network.plans.push_back(std::move(plan));
  }
  network.plans[0].accuracy = MeasuredAccuracy{.top1 = 0.75, .samples = 4, .data_set = "four"};
  return network;
}

// The stem replaced by two filters of 1 x 2 on two channels each.
PackedNetwork hand_made_groups() {
  PackedNetwork network = hand_made();
  network.input_shape = {1, 3, 4};
  network.graph.nodes[1].kind = ops::NodeKind::grouped_conv2d;
  network.graph.nodes[1].window = {.kernel_h = 1, .kernel_w = 2};
  PackedLayer& stem = network.layers[0];
  stem = {.name = "stem",
          .kind = ops::NodeKind::grouped_conv2d,
          .cout = 2,
          .kernel_h = 1,
          .kernel_w = 2,
          .cin = 4,
          .groups = 2,
          .packs = {}};
  const std::vector<std::vector<std::byte>> head(network.planes.begin() + 2, network.planes.end());
  network.planes.clear();
  const std::vector<std::uint8_t> codes{0, 1, 2, 3, 2, 1, 3, 0};
  network.add_weights(0, codes, {.bits = 2, .nested = true});
  network.planes.insert(network.planes.end(), head.begin(), head.end());
  return network;
}

// The first network on normalised images.
PackedNetwork hand_made_normalised() {
  PackedNetwork network = hand_made();
  network.preprocessing = {
      .normalisation = {.mean = {0.5F, 0.25F, 0.75F}, .deviation = {0.5F, 0.25F, 2.0F}},
      .centre = 0.875F,
      .channels = "RGB"};
  return network;
}

// The image beside the stem, each channel mapped and rectified, five values for the classes.
PackedNetwork hand_made_branches() {
  PackedNetwork network = hand_made();
  auto& nodes = network.graph.nodes;
  nodes[2] = {.kind = ops::NodeKind::concat, .inputs = {1, 0}};
  nodes[3] = {.kind = ops::NodeKind::scale_shift, .inputs = {2, -1}, .layer = 0};
  nodes[4] = {.kind = ops::NodeKind::relu, .inputs = {3, -1}};
  nodes.push_back({.kind = ops::NodeKind::global_average_pool, .inputs = {4, -1}});
  nodes.push_back({.kind = ops::NodeKind::linear, .inputs = {5, -1}, .layer = 1});
  for (PackedPlan& plan : network.plans) {
    plan.scale_shifts.push_back(
        {.multiplier = {1.0F, -1.0F, 2.0F, 1.0F, -4.0F}, .bias = {0.0F, 0.0F, 0.5F, 0.0F, 4.0F}});
  }
  network.plans[1].scale_shifts[0].bias[3] = -1.0F;
  network.planes.resize(2);
  network.layers[1].cin = 5;
  network.layers[1].packs.clear();
  const std::vector<std::uint8_t> codes{3, 0, 1, 2, 3, 1, 2, 0, 3, 0};
  network.add_weights(1, codes, {.bits = 2, .nested = false});
  return network;
}

// The first network whose second plan reads weights of its own in the head.
PackedNetwork hand_made_packs() {
  PackedNetwork network = hand_made();
  const std::vector<std::uint8_t> codes{0, 3, 2, 1};
  network.add_weights(1, codes, {.bits = 2, .nested = false});
  network.plans[1].layers[1].pack = 1;
  return network;
}

std::string golden_path(std::string_view version = "1.0") {
  return concat(BITDIAL_SOURCE_DIR, "/tests/deploy/golden/model-", version, ".bitdial");
}

// A reader of its own, from the tables of the documentation.
struct Raw {
  std::span<const std::byte> bytes;

  [[nodiscard]] std::uint64_t number(std::size_t offset, std::size_t size) const {
    std::uint64_t value = 0;
    for (std::size_t i = size; i > 0; --i) {
      value = value << 8 | std::to_integer<std::uint64_t>(bytes[offset + i - 1]);
    }
    return value;
  }
  [[nodiscard]] std::uint64_t u32(std::size_t offset) const { return number(offset, 4); }
  [[nodiscard]] std::uint64_t u64(std::size_t offset) const { return number(offset, 8); }
  [[nodiscard]] float f32(std::size_t offset) const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(u32(offset)));
  }
  [[nodiscard]] std::string_view text(std::size_t offset) const {
    return {reinterpret_cast<const char*>(bytes.data()) + offset + 4,
            static_cast<std::size_t>(u32(offset))};
  }
};

TEST_CASE("the same network gives the committed bytes") {
  struct Case {
    const char* version;
    PackedNetwork network;
  };
  const Case cases[] = {{"1.0", hand_made()},
                        {"1.1", hand_made_groups()},
                        {"1.2", hand_made_normalised()},
                        {"1.3", hand_made_branches()},
                        {"1.4", hand_made_packs()}};
  for (const Case& c : cases) {
    CAPTURE(c.version);
    const auto bytes = model_bytes(c.network);
    REQUIRE_MESSAGE(bytes.ok(), bytes.error());
    const auto golden = io::MappedFile::open(golden_path(c.version));
    REQUIRE_MESSAGE(golden.ok(), golden.error());
    CHECK(std::ranges::equal(*bytes, golden->bytes()));
  }
}

TEST_CASE("groups stand in a section of their own") {
  const auto golden = io::MappedFile::open(golden_path("1.1"));
  REQUIRE_MESSAGE(golden.ok(), golden.error());
  const Raw file{golden->bytes()};
  CHECK(file.u32(12) == 1);
  CHECK(file.u32(24) == 10);
  const std::size_t entry = 64 + 32 * 5;
  CHECK(file.u32(entry) == 7);
  CHECK(file.u64(entry + 16) == 12);
  const auto groups = static_cast<std::size_t>(file.u64(entry + 8));
  CHECK(file.u32(groups) == 2);
  CHECK(file.u32(groups + 4) == 2);
  CHECK(file.u32(groups + 8) == 1);
  const auto graph = static_cast<std::size_t>(file.u64(64 + 32 + 8));
  CHECK(file.u32(graph + 4 + 48) == 8);

  const auto model = Model::open(golden_path("1.1"));
  REQUIRE_MESSAGE(model.ok(), model.error());
  CHECK(model->layers()[0].groups == 2);
  CHECK(model->layers()[0].depth() == 4);
  CHECK(model->layers()[1].groups == 1);
  auto session = Session::create(*model);
  REQUIRE_MESSAGE(session.ok(), session.error());
  // Codes 1 1 0 0 | 0 0 1 1 | 1 0 1 0, levels of plan w2a1 by tap {-2 -1 | 0 1; 0 -1 | 1 -2}.
  const std::vector<std::uint8_t> image{255, 200, 0, 127, 1, 0, 128, 130, 255, 2, 255, 3};
  std::vector<float> y(2);
  REQUIRE(session->run(image, y, "w2a1"));
  // Sums (-3, -1) and (0, -1): of the two pixels, channel 0 sees channels 0 and 1, channel 1 sees 2
  // and 3. Values (-0.5, -0.375) and (1, -0.375), mean behind the ReLU (0.5, 0), codes 2 and 1, as
  // in the file of version 1.0.
  CHECK(y == std::vector<float>{6.0F, -1.0F});
}

TEST_CASE("concatenation and per-channel maps are kinds of nodes, maps a section of their own") {
  const auto golden = io::MappedFile::open(golden_path("1.3"));
  REQUIRE_MESSAGE(golden.ok(), golden.error());
  const Raw file{golden->bytes()};
  CHECK(file.u32(12) == 3);
  const auto graph = static_cast<std::size_t>(file.u64(64 + 32 + 8));
  CHECK(file.u32(graph) == 7);
  const std::size_t join = graph + 4 + 2 * 48, map = join + 48;
  CHECK(file.u32(join) == 9);
  CHECK(file.u32(join + 4) == 1);
  CHECK(file.u32(join + 8) == 0);
  CHECK(file.u32(map) == 10);
  CHECK(file.u32(map + 12) == 0);
  const std::size_t entry = 64 + 32 * 5;
  CHECK(file.u32(entry) == 9);
  const auto maps = static_cast<std::size_t>(file.u64(entry + 8));
  CHECK(file.u64(entry + 16) == 4 + 2 * (4 + 2 * (4 + 5 * 4)));
  CHECK(file.u32(maps) == 2);      // plans
  CHECK(file.u32(maps + 4) == 1);  // maps of the first
  CHECK(file.u32(maps + 8) == 5);  // channels
  CHECK(file.f32(maps + 16) == -1.0F);
  CHECK(file.u32(maps + 32) == 5);  // shifts
  CHECK(file.f32(maps + 52) == 4.0F);

  const auto model = Model::open(golden_path("1.3"));
  REQUIRE_MESSAGE(model.ok(), model.error());
  CHECK(model->shapes()[3] == ImageShape{1, 2, 5});
  auto session = Session::create(*model);
  REQUIRE_MESSAGE(session.ok(), session.error());
  const std::vector<std::uint8_t> image{255, 128, 127, 0, 1, 200};
  std::vector<float> y(2);
  REQUIRE(session->run(image, y, "w2a1"));
  // The stem gives (-0.5, 0.125) and (1, -0.375), the image (1, 0.502, 0.498) and (0, 0.004,
  // 0.784). Mapped and rectified (0, 0, 2.5, 0.502, 2.008) and (1, 0.375, 0.5, 0.004, 0.863), mean
  // (0.5, 0.188, 1.5, 0.253, 1.44): codes 2 1 2 2 2, levels 1 -1 1 1 1. With head levels
  // {3 -3 -1 1 3; -1 1 -3 3 -3} the sums are 9 and -5.
  CHECK(y == std::vector<float>{9.0F, -7.0F});
  // In the other plan the stem gives (0, -0.125) and (1, -0.375), and channel 3 is shifted below 0:
  // mean (0.5, 0.25, 1.5, 0, 1.44), codes 2 2 2 1 2, sums 1 and -9.
  REQUIRE(session->run(image, y, "w1a1"));
  CHECK(y == std::vector<float>{1.0F, -15.0F});
}

// Where the second plan of `hand_made_packs` says which weights the head reads.
std::size_t place_of_pack(std::span<const std::byte> bytes) {
  const Raw file{bytes};
  const auto plans = static_cast<std::size_t>(file.u64(64 + 32 * 4 + 8));
  const std::size_t state = 4 * 9 + 2 * (4 + 2 * 4);  // of two channels
  const std::size_t first = 4 + 4 + 4 + 4 + 8 + 8 + (4 + 4) + 4 + 2 * state;
  return plans + first + 4 + 4 + 4 + 8 + 8 + 4 + 4 + state;
}

TEST_CASE("packs that serve one width are told apart by their number") {
  const auto golden = io::MappedFile::open(golden_path("1.4"));
  REQUIRE_MESSAGE(golden.ok(), golden.error());
  const Raw file{golden->bytes()};
  CHECK(file.u32(12) == 4);
  const std::size_t place = place_of_pack(golden->bytes());
  CHECK(file.number(place, 2) == 2);
  CHECK(file.number(place + 2, 2) == 1);
  CHECK(file.u32(place) == 65'538);  // the bits that a reader of version 1.3 sees, and refuses

  const auto model = Model::open(golden_path("1.4"));
  REQUIRE_MESSAGE(model.ok(), model.error());
  auto session = Session::create(*model);
  REQUIRE_MESSAGE(session.ok(), session.error());
  // Both plans have the head's inputs of version 1.0, levels 1 and -1. The second has weight levels
  // {-3 3; 1 -1}: sums -6 and 2.
  const std::vector<std::uint8_t> image{255, 128, 127, 0, 1, 200};
  std::vector<float> y(2);
  REQUIRE(session->run(image, y, "w2a1"));
  CHECK(y == std::vector<float>{6.0F, -1.0F});
  REQUIRE(session->run(image, y, "w1a1"));
  CHECK(y == std::vector<float>{-6.0F, 7.0F});
}

// What is wrong with a file; nothing for a good one.
std::string error_of(const std::vector<std::byte>& bytes) {
  const auto model = Model::from_bytes(bytes);
  return model ? std::string{} : model.error();
}

TEST_CASE("the number of a pack must exist") {
  const auto bytes = model_bytes(hand_made_packs());
  REQUIRE_MESSAGE(bytes.ok(), bytes.error());
  const auto error_with = [&](std::uint64_t bits, std::uint64_t number) {
    std::vector<std::byte> forged = *bytes;
    const std::size_t place = place_of_pack(forged);
    test::put_number(forged, place, bits, 2);
    test::put_number(forged, place + 2, number, 2);
    REQUIRE(test::seal(forged));
    return error_of(forged);
  };
  const std::string where =
      "model in memory: damaged bitdial model: plan 1 (w1a1): layer 1 (head): ";
  CHECK(error_with(2, 0).empty());
  CHECK(error_with(2, 1).empty());
  const std::string none = where + "runs at w2a2, no packed weights serve 2 bits as number ";
  CHECK(error_with(2, 2) == none + "2, there are 2");
  CHECK(error_with(2, 65'535) == none + "65535, there are 2");
  CHECK(error_with(3, 0) == where + "runs at w3a2, no packed weights serve 3 bits");
  CHECK(error_with(65'535, 0) == where + "runs at w65535a2, expected 1 to 8 bits");
}

TEST_CASE("per-channel maps must fit the plans") {
  const auto error_after = [](auto change) {
    PackedNetwork network = hand_made_branches();
    change(network);
    const auto bytes = model_bytes(network);
    return bytes ? std::string{} : bytes.error();
  };
  CHECK(error_after([](PackedNetwork&) {}).empty());
  CHECK(error_after([](PackedNetwork& n) { n.plans[1].scale_shifts.clear(); }) ==
        "packed network: plan 1 (w1a1): has 0 per-channel maps, the graph has 1 nodes for them");
  CHECK(error_after([](PackedNetwork& n) { n.plans[0].scale_shifts[0].bias.pop_back(); }) ==
        "packed network: plan 0 (w2a1): node 3 (scale_shift) has 5 multipliers and 4 biases for 5 "
        "channels");
  CHECK(error_after([](PackedNetwork& n) { n.plans[0].scale_shifts[0].bias[2] = HUGE_VALF; }) ==
        "packed network: plan 0 (w2a1): node 3 (scale_shift) has a multiplier or bias that is not "
        "finite");
  CHECK(
      error_after([](PackedNetwork& n) { n.graph.nodes[3].layer = 1; }) ==
      "packed network: graph: node 3 (scale_shift): names map 1, expected 0: maps are numbered in "
      "the order of their nodes");
}

// The file of a network whose section `changed` is changed, as one of minor version `minor`.
std::vector<std::byte> with_section(const PackedNetwork& network, std::uint32_t changed,
                                    std::uint32_t minor, auto change) {
  const auto bytes = model_bytes(network);
  REQUIRE_MESSAGE(bytes.ok(), bytes.error());
  const auto file = io::SectionFile::parse(*bytes, model_file_kind, "m");
  REQUIRE_MESSAGE(file.ok(), file.error());
  io::SectionFileKind kind = model_file_kind;
  kind.minor = minor;
  io::SectionFileWriter writer{kind};
  for (const std::uint32_t id : {1U, 2U, 3U, 4U, 5U, 7U, 8U, 9U, 6U}) {
    for (std::uint32_t index = 0; index < file->count(id); ++index) {
      const auto section = file->section({id, index});
      REQUIRE_MESSAGE(section.ok(), section.error());
      std::vector<std::byte> copy(section->begin(), section->end());
      if (id == changed) change(copy);
      writer.add({id, index}, std::move(copy));
    }
  }
  return writer.finish();
}

TEST_CASE("a section of groups must fit the layers") {
  const auto error_with = [](const std::vector<std::uint32_t>& groups) {
    return error_of(with_section(hand_made_groups(), 7, 1, [&](std::vector<std::byte>& section) {
      io::ByteWriter own;
      own.put_array(std::span<const std::uint32_t>{groups});
      section = own.take();
    }));
  };
  CHECK(error_with({2, 1}).empty());
  CHECK(error_with({2}) ==
        "model in memory: damaged bitdial model: section groups: 1 groups for 2 layers");
  CHECK(error_with({1, 1}) ==
        "model in memory: damaged bitdial model: layer 0 (stem): a grouped_conv2d of 4 to 2 "
        "channels cannot have 1 groups");
  CHECK(error_with({2, 2}) ==
        "model in memory: damaged bitdial model: layer 1 (head): a linear of 2 to 2 channels "
        "cannot have 2 groups");
}

TEST_CASE("preprocessing stands in a section of its own, and runs") {
  const auto golden = io::MappedFile::open(golden_path("1.2"));
  REQUIRE_MESSAGE(golden.ok(), golden.error());
  const Raw file{golden->bytes()};
  CHECK(file.u32(12) == 2);
  CHECK(file.u32(24) == 10);
  const std::size_t entry = 64 + 32 * 5;
  CHECK(file.u32(entry) == 8);
  CHECK(file.u64(entry + 16) == 43);
  const auto at = static_cast<std::size_t>(file.u64(entry + 8));
  CHECK(file.text(at) == "RGB");
  CHECK(file.f32(at + 7) == 0.875F);
  CHECK(file.u32(at + 11) == 3);
  CHECK(file.f32(at + 15 + 4) == 0.25F);
  CHECK(file.u32(at + 27) == 3);
  CHECK(file.f32(at + 31 + 8) == 2.0F);

  const auto model = Model::open(golden_path("1.2"));
  REQUIRE_MESSAGE(model.ok(), model.error());
  CHECK(model->preprocessing() == hand_made_normalised().preprocessing);
  auto session = Session::create(*model);
  REQUIRE_MESSAGE(session.ok(), session.error());
  // The codes 1 1 0 | 0 0 1 of the test of version 1.0 would need the value 1 of the third channel,
  // which now ends at 1/8. A byte u has code 1 from u = 192 on in the first channel, where
  // (192/255 - 1/2) / (1/2) is the first value above 1/2, and from u = 96 on in the second.
  std::vector<float> y(2);
  const std::vector<std::uint8_t> image{192, 96, 255, 191, 95, 255};
  REQUIRE(session->run(image, y, "w2a1"));
  // Codes 1 1 0 | 0 0 0, stem levels {-2 -1 0; 1 0 -1}: sums (-3, 1) and (0, 0), values
  // (-0.5, 0.125) and (1, -0.125), mean behind the ReLU (0.5, 0.0625): codes 2 and 1 again.
  CHECK(y == std::vector<float>{6.0F, -1.0F});
  // Both pixels one below: codes 0 1 0, sums (-1, 0), values (0.5, -0.125), mean (0.5, 0).
  const std::vector<std::uint8_t> below{191, 96, 255, 191, 96, 255};
  REQUIRE(session->run(below, y, "w2a1"));
  CHECK(y == std::vector<float>{6.0F, -1.0F});
  const std::vector<std::uint8_t> above{192, 96, 255, 192, 96, 255};
  REQUIRE(session->run(above, y, "w2a1"));
  // Codes 1 1 0, sums (-3, 1), values (-0.5, 0.125), mean (0, 0.125): codes 1 and 1, levels -1 and
  // -1, and with the head levels {3 -3; -1 1} sums of 0 and 0.
  CHECK(y == std::vector<float>{0.0F, 3.0F});
}

TEST_CASE("a section of preprocessing must fit; a newer minor version may append to it") {
  const auto with_preprocessing = [](std::uint32_t minor, auto change) {
    return with_section(hand_made_normalised(), 8, minor, change);
  };
  const auto longer = [](std::vector<std::byte>& section) { section.resize(section.size() + 4); };
  const auto newer = with_preprocessing(model_file_kind.minor + 1, longer);
  const auto model = Model::from_bytes(newer);
  REQUIRE_MESSAGE(model.ok(), model.error());
  CHECK(model->preprocessing() == hand_made_normalised().preprocessing);

  CHECK(error_of(with_preprocessing(2, longer)) ==
        "model in memory: damaged bitdial model: section preprocessing: 4 bytes are left over at "
        "offset 43");
  CHECK(error_of(with_preprocessing(2, [](auto& section) { section.resize(20); })) ==
        "model in memory: damaged bitdial model: section preprocessing: ends early: announces 3 "
        "elements of at least 4 bytes at offset 11, 5 bytes are left");
  CHECK(error_of(with_preprocessing(2, [](auto& section) { section[42] = std::byte{0x80}; })) ==
        "model in memory: damaged bitdial model: preprocessing: expected 3 finite means and "
        "positive deviations, found 3 means and 3 deviations");
}

TEST_CASE("an accuracy that is no share is refused") {
  for (const double wrong : {-0.5, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    PackedNetwork network = hand_made();
    network.plans[0].accuracy->top1 = wrong;
    const auto bytes = model_bytes(network);
    CHECK_FALSE(bytes.ok());
    CHECK(bytes.error().find("its accuracy is ") != std::string::npos);
  }
}

TEST_CASE("the committed file of version 1.0 loads and computes what it says") {
  const auto model = Model::open(golden_path());
  REQUIRE_MESSAGE(model.ok(), model.error());
  auto session = Session::create(*model);
  REQUIRE_MESSAGE(session.ok(), session.error());
  // Codes 1 1 0 | 0 0 1. Plan w2a1: stem levels {-2 -1 0; 1 0 -1}.
  const std::vector<std::uint8_t> image{255, 128, 127, 0, 1, 200};
  std::vector<float> y(2);
  REQUIRE(session->run(image, y, "w2a1"));
  // The sums of the two pixels are (-3, 1) and (0, -1), the values (-0.5, 0.125) and (1, -0.375),
  // so the mean behind the ReLU is (0.5, 0.0625), in codes 2 and 1, in levels 1 and -1. With head
  // levels {3 -3; -1 1} the sums are 6 and -2.
  CHECK(y == std::vector<float>{6.0F, -1.0F});
  REQUIRE(session->run(image, y, "w1a1"));
  // Top bits {0 0 1; 1 1 0}, levels {-1 -1 0; 0 0 -1}: sums (-2, 0) and (0, -1), values
  // (0, -0.125) and (1, -0.375), mean (0.5, 0): the same codes.
  CHECK(y == std::vector<float>{6.0F, -1.0F});
  CHECK(model->packed_bytes(0) == 2 * 2 + 2 * 2);
  CHECK(model->packed_bytes(1) == 1 * 2 + 2 * 2);
}

TEST_CASE("fields stand where the documentation says") {
  const auto golden = io::MappedFile::open(golden_path());
  REQUIRE_MESSAGE(golden.ok(), golden.error());
  const Raw file{golden->bytes()};
  CHECK(std::string_view(reinterpret_cast<const char*>(file.bytes.data()), 8) ==
        std::string_view("BITDIAL\0", 8));
  CHECK(file.u32(8) == 1);
  CHECK(file.u32(12) == 0);
  CHECK(file.u64(16) == file.bytes.size());
  CHECK(file.u32(24) == 9);
  for (std::size_t offset = 28; offset < 56; offset += 4) CHECK(file.u32(offset) == 0);
  CHECK(file.u64(56) == io::xxh64(file.bytes.subspan(64, 9 * 32), io::xxh64(file.bytes.first(56))));
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < 9; ++i) {
    const std::size_t entry = 64 + 32 * i;
    CHECK(file.u32(entry) == std::min<std::size_t>(i + 1, 6));
    CHECK(file.u32(entry + 4) == (i < 6 ? 0 : i - 5));
    at.push_back(static_cast<std::size_t>(file.u64(entry + 8)));
    const auto section = file.bytes.subspan(at[i], static_cast<std::size_t>(file.u64(entry + 16)));
    CHECK(file.u64(entry + 24) == io::xxh64(section));
    CHECK(at[i] % 64 == 0);
  }

  CHECK(file.u32(at[0] + 4) == 2);   // network: W
  CHECK(file.u32(at[0] + 12) == 2);  // two labels
  CHECK(file.text(at[0] + 22) == "yes");

  CHECK(file.u32(at[1]) == 5);                    // graph: five nodes of 48 bytes
  CHECK(file.u32(at[1] + 4 + 4 * 48) == 2);       // the last is a linear layer
  CHECK(file.u32(at[1] + 4 + 4 * 48 + 4) == 3);   // of node 3
  CHECK(file.u32(at[1] + 4 + 4 * 48 + 12) == 1);  // layer 1
  CHECK(file.u32(at[1] + 4 + 1 * 48 + 16) == 1);  // convolution: kernel_h
  CHECK(file.u32(at[1] + 4 + 1 * 48 + 44) == 1);  // dilation_w

  CHECK(file.text(at[2] + 4) == "stem");  // layers
  CHECK(file.u32(at[2] + 12) == 1);       // conv2d
  CHECK(file.u32(at[2] + 28) == 3);       // cin
  CHECK(file.u32(at[2] + 32) == 1);       // one pack
  CHECK(file.u32(at[2] + 36) == 2);       // of two bits
  CHECK(file.u32(at[2] + 40) == 1);       // nested
  CHECK(file.u32(at[2] + 44) == 0);       // first plane

  CHECK(file.u32(at[3]) == 2);          // encoders
  CHECK(file.u32(at[3] + 8) == 1);      // uniform
  CHECK(file.f32(at[3] + 12) == 1.0F);  // clip
  CHECK(file.u32(at[3] + 20) == 1);     // one threshold
  CHECK(file.u32(at[3] + 28) == 2);     // second encoder: bits
  CHECK(file.f32(at[3] + 28 + 20) == -1.0F);

  CHECK(file.u32(at[4]) == 2);  // plans
  CHECK(file.text(at[4] + 4) == "w2a1");
  CHECK(file.u32(at[4] + 12) == 1);  // measured
  CHECK(std::bit_cast<double>(file.u64(at[4] + 16)) == 0.75);
  CHECK(file.u64(at[4] + 24) == 4);
  CHECK(file.text(at[4] + 32) == "four");
  CHECK(file.u32(at[4] + 40) == 2);           // layer states
  CHECK(file.u32(at[4] + 44) == 2);           // executed w
  CHECK(file.u32(at[4] + 48) == 1);           // executed a
  CHECK(file.f32(at[4] + 52) == 0.5F);        // weight levels: scale
  CHECK(file.u32(at[4] + 56) == 1);           // multiplier
  CHECK(file.u32(at[4] + 60) == 0xFFFFFFFE);  // offset -2
  CHECK(file.f32(at[4] + 64) == 1.0F);        // activation levels
  CHECK(file.u32(at[4] + 76) == 0);           // encoder
  CHECK(file.u32(at[4] + 80) == 2);           // channels
  CHECK(file.f32(at[4] + 88) == 0.25F);       // multiplier[1]
  CHECK(file.f32(at[4] + 100) == -0.125F);    // bias[1]

  // Planes, most significant bit first: stem codes 0 1 2 | 3 2 1, bit i for weight i.
  CHECK(file.number(at[5], 2) == 0x0304);  // rows 100 (weight 2) and 011
  CHECK(file.number(at[6], 2) == 0x0502);  // rows 010 and 101
}

}  // namespace
