// SPDX-License-Identifier: Apache-2.0
// Model files: what goes in comes out, from disk and from memory; damage of every kind is refused
// or changes nothing.
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/session.hpp>

#include <doctest/doctest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reference_network.hpp"

namespace {

using namespace bitdial;
using reference::Network;

// Small, with every kind of section content: two packs, two encoders, labels, accuracy.
Network small_network() {
  Network net{{3, 3, 2}, {.activations = reference::ActivationFamily::two_sided, .seed = 5}};
  const int conv = net.conv(0, 3, ops::Window::square(2, {.padding = 1}));
  static_cast<void>(net.linear(net.global_average_pool(net.relu(net.add(conv, conv))), 2));
  net.draw_weights({1, 3});
  net.add_plan(PrecisionPlan::uniform("w3a2"));
  net.add_plan(*PrecisionPlan::per_layer({{3, 2}, {1, 1}}));
  net.packed.labels = {"cat", "d\xc3\xb6g"};
  net.packed.plans[1].accuracy = MeasuredAccuracy{.top1 = 0.875, .samples = 8, .data_set = "toys"};
  return net;
}

std::vector<std::byte> bytes_of(const Network& net) {
  auto bytes = model_bytes(net.packed);
  REQUIRE_MESSAGE(bytes.ok(), bytes.error());
  return *bytes;
}

// The outputs of all plans, or nothing and the reason.
std::optional<std::vector<float>> run_all_plans(std::span<const std::byte> bytes,
                                                const std::vector<std::uint8_t>& images,
                                                WeightCheck when, std::string& error) {
  const auto model = Model::from_bytes(bytes, {.weight_check = when});
  if (!model) return error = model.error(), std::nullopt;
  auto session = Session::create(*model, {.path = KernelPath::bytes});
  if (!session) return error = session.error(), std::nullopt;
  std::vector<float> all;
  for (std::size_t plan = 0; plan < model->plans().size(); ++plan) {
    std::vector<float> outputs(static_cast<std::size_t>(model->output_size()));
    const auto done = session->run(images, outputs, plan);
    if (!done) return error = done.error(), std::nullopt;
    all.insert(all.end(), outputs.begin(), outputs.end());
  }
  return all;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// A file with the same sections, one of them changed, and all checksums right.
template <class Change>
std::vector<std::byte> forged(std::span<const std::byte> bytes, io::SectionKey key, Change change) {
  const auto file = io::SectionFile::parse(bytes, model_file_kind, "x");
  REQUIRE(file);
  io::SectionFileWriter writer{model_file_kind};
  for (std::uint32_t id = 1; id <= 6; ++id) {
    for (std::uint32_t i = 0; i < file->count(id); ++i) {
      const std::span<const std::byte> section = *file->section({id, i});
      std::vector<std::byte> copy(section.begin(), section.end());
      if (key == io::SectionKey{id, i}) change(copy);
      writer.add({id, i}, std::move(copy));
    }
  }
  return writer.finish();
}

TEST_CASE("a network survives the file, byte for byte") {
  const Network net = small_network();
  const std::vector<std::byte> bytes = bytes_of(net);
  const auto model = Model::from_bytes(bytes);
  REQUIRE_MESSAGE(model.ok(), model.error());
  const PackedNetwork& in = net.packed;
  const NetworkDescription& out = model->network();
  CHECK(model->input_shape() == Shape{3, 3, 2});
  CHECK(model->output_size() == 2);
  CHECK(model->labels() == in.labels);
  CHECK(out.graph.nodes == in.graph.nodes);
  CHECK(out.encoders == in.encoders);
  REQUIRE(out.layers.size() == in.layers.size());
  for (std::size_t i = 0; i < in.layers.size(); ++i) {
    CHECK(out.layers[i].name == in.layers[i].name);
    CHECK(out.layers[i].kind == in.layers[i].kind);
    CHECK(out.layers[i].cout == in.layers[i].cout);
    CHECK(out.layers[i].depth() == in.layers[i].depth());
    CHECK(out.layers[i].packs == in.layers[i].packs);
    for (const WeightPack& pack : out.layers[i].packs) {
      const auto planes = model->planes(pack);
      for (std::size_t p = 0; p < planes.size(); ++p) {
        const auto& stored = in.planes[static_cast<std::size_t>(pack.first_plane) + p];
        CHECK(std::ranges::equal(planes[p], stored));
        const auto offset = planes[p].data() - bytes.data();  // in place, not copied
        CHECK((offset > 0 && offset < static_cast<std::ptrdiff_t>(bytes.size())));
        CHECK(offset % 64 == 0);
      }
    }
  }
  REQUIRE(out.plans.size() == 2);
  for (std::size_t p = 0; p < 2; ++p) {
    CHECK(out.plans[p].requested == in.plans[p].requested);
    CHECK(out.plans[p].accuracy == in.plans[p].accuracy);
    for (std::size_t i = 0; i < in.layers.size(); ++i) {
      const LayerState &a = out.plans[p].layers[i], &b = in.plans[p].layers[i];
      CHECK(a.executed == b.executed);
      CHECK(a.pack == b.pack);
      CHECK(a.weight_levels == b.weight_levels);
      CHECK(a.activation_levels == b.activation_levels);
      CHECK(a.encoder == b.encoder);
      CHECK(a.multiplier == b.multiplier);
      CHECK(a.bias == b.bias);
    }
  }
  CHECK(model_bytes(net.packed).value() == bytes);
}

TEST_CASE("packed bytes count the planes that a plan reads") {
  const Network net = small_network();
  const std::vector<std::byte> bytes = bytes_of(net);
  const Model model = Model::from_bytes(bytes).value();
  // conv: 3 rows of 2 * 2 * 2 = 8 weights, 1 byte a plane row; linear: 2 rows of 3 weights.
  CHECK(model.packed_bytes(0) == 3 * 3 + 3 * 2);
  CHECK(model.packed_bytes(1) == 3 * 3 + 1 * 2);
  CHECK(model.find_plan("w3a2,w1a1").value() == 1);
  CHECK(model.find_plan(net.packed.plans[0].requested).value() == 0);
}

TEST_CASE(
    "a model on disk: the mapping outlives the file's name, a copy outlives the first model") {
  const Network net = small_network();
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("bitdial_model_test_" + std::to_string(::getpid())))
                               .string();
  REQUIRE(write_model(path, net.packed));
  CHECK(std::filesystem::file_size(path) == bytes_of(net).size());
  std::optional<Model> model;
  {
    auto opened = Model::open(path);
    REQUIRE_MESSAGE(opened.ok(), opened.error());
    model = *opened;
  }
  std::filesystem::remove(path);
  auto session = Session::create(*model);
  model.reset();
  REQUIRE_MESSAGE(session.ok(), session.error());
  Network images_of = small_network();
  const std::vector<std::uint8_t> images = images_of.draw_images(1);
  std::vector<float> outputs(2);
  REQUIRE(session->run(images, outputs, 1));
  CHECK(same_bits(outputs, net.evaluate(1, images).outputs));

  // A copy in memory does not care when somebody cuts the file off.
  REQUIRE(write_model(path, net.packed));
  const auto copied = Model::open(path, {.access = io::FileAccess::copied});
  REQUIRE_MESSAGE(copied.ok(), copied.error());
  std::filesystem::resize_file(path, 0);
  auto second = Session::create(*copied);
  REQUIRE_MESSAGE(second.ok(), second.error());
  std::vector<float> same(2);
  REQUIRE(second->run(images, same, 1));
  CHECK(same_bits(same, outputs));
  std::filesystem::remove(path);
  CHECK(Model::open(path).error() == path + ": cannot open: No such file or directory");
  CHECK(Model::open("").error() == "model: the path is empty, expected that of a model file");
  REQUIRE(io::write_file(path, std::as_bytes(std::span{"PK\3\4 something else"})));
  CHECK(Model::open(path).error().starts_with(path + ": is not a bitdial model file: it starts"));
  std::filesystem::remove(path);
}

// damaged_file_test.cpp tries every value of every byte, and every truncation, of a smaller file.
TEST_CASE("flipped bytes are refused or change nothing, whenever planes are checked") {
  Network net = small_network();
  const std::vector<std::uint8_t> images = net.draw_images(1);
  std::vector<std::byte> bytes = bytes_of(net);
  std::string error;
  const auto clean = run_all_plans(bytes, images, WeightCheck::at_opening, error);
  REQUIRE_MESSAGE(clean.has_value(), error);
  std::size_t unnoticed = 0;
  for (std::byte& byte : bytes) {
    for (const std::byte flip : {std::byte{0x01}, std::byte{0x80}, std::byte{0xFF}}) {
      byte ^= flip;
      for (const WeightCheck when : {WeightCheck::at_opening, WeightCheck::when_used}) {
        const auto damaged = run_all_plans(bytes, images, when, error);
        if (damaged) {
          ++unnoticed;
          CHECK(same_bits(*damaged, *clean));
        }
      }
      byte ^= flip;
    }
  }
  CHECK(unnoticed > 0);                     // padding between sections
  CHECK(unnoticed < bytes.size() * 6 / 2);  // and little else
}

TEST_CASE("a damaged plane is noticed at opening, or when a session first needs it") {
  const Network net = small_network();
  std::vector<std::byte> bytes = bytes_of(net);
  const WeightPack& three_bits = net.packed.layers[1].packs[1];
  REQUIRE(three_bits.bits == 3);
  std::ptrdiff_t place = 0;
  {
    const Model model = Model::from_bytes(bytes).value();
    place = model.planes(three_bits)[2].data() - bytes.data();
  }
  bytes[static_cast<std::size_t>(place)] ^= std::byte{1};
  const auto refused = Model::from_bytes(bytes);
  CHECK_FALSE(refused.ok());
  CHECK(refused.error().find("has a wrong checksum") != std::string::npos);
  const auto lazy = Model::from_bytes(bytes, {.weight_check = WeightCheck::when_used});
  REQUIRE_MESSAGE(lazy.ok(), lazy.error());
  CHECK_FALSE(lazy->planes_checked());
  CHECK_FALSE(Session::create(*lazy).ok());
  CHECK_FALSE(Session::create(*lazy, {.plans = {0}}).ok());
  CHECK(Session::create(*lazy, {.plans = {1}}).ok());  // runs that layer at one bit
}

TEST_CASE("planes that no plan of a session reads are never touched") {
  // Planes of two pages each; those below the top two bits may not even be read.
  Network net{{2, 2, 512}, {.weights = reference::WeightFamily::nested, .seed = 9}};
  static_cast<void>(net.global_average_pool(net.conv(0, 128, ops::Window::square(1))));
  net.draw_weights({2, 8});
  net.add_plan(PrecisionPlan::uniform("w2a2"));
  net.add_plan(PrecisionPlan::uniform("w8a8"));
  const std::vector<std::byte> bytes = bytes_of(net);
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const memory =
      ::mmap(nullptr, bytes.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  std::memcpy(memory, bytes.data(), bytes.size());
  {
    const std::span<const std::byte> mapped{static_cast<const std::byte*>(memory), bytes.size()};
    const auto model = Model::from_bytes(mapped, {.weight_check = WeightCheck::when_used});
    REQUIRE_MESSAGE(model.ok(), model.error());
    std::size_t hidden = 0;
    for (const auto& plane : model->planes(model->layers()[0].packs[0]).subspan(2)) {
      const auto begin = reinterpret_cast<std::uintptr_t>(plane.data());
      const std::uintptr_t first = (begin + page - 1) / page * page;
      const std::uintptr_t last = (begin + plane.size()) / page * page;
      if (first >= last) continue;
      REQUIRE(::mprotect(reinterpret_cast<void*>(first), last - first, PROT_NONE) == 0);
      hidden += last - first;
    }
    CHECK(hidden >= 6 * page);
    auto session = Session::create(*model, {.plans = {0}});
    REQUIRE_MESSAGE(session.ok(), session.error());
    const std::vector<std::uint8_t> images = net.draw_images(1);
    std::vector<float> outputs(128);
    REQUIRE(session->run(images, outputs, 0));
    CHECK(same_bits(outputs, net.evaluate(0, images).outputs));
  }
  ::munmap(memory, bytes.size());
}

TEST_CASE("forged contents with right checksums never crash") {
  Network net = small_network();
  const std::vector<std::uint8_t> images = net.draw_images(1);
  const std::vector<std::byte> bytes = bytes_of(net);
  std::mt19937 random{7};
  const auto draw = [&](int below) {
    return std::uniform_int_distribution<int>{0, below - 1}(random);
  };
  int refused = 0, accepted = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto id = static_cast<std::uint32_t>(1 + draw(5));
    const std::vector<std::byte> hostile =
        forged(bytes, {id, 0}, [&](std::vector<std::byte>& section) {
          for (int k = draw(2); k >= 0; --k) {
            const auto at = static_cast<std::size_t>(draw(static_cast<int>(section.size())));
            const int values[] = {0, 1, 2, 3, 8, 255, 127, 128, draw(256)};
            section[at] = static_cast<std::byte>(values[draw(9)]);
          }
          if (draw(20) == 0) section.resize(static_cast<std::size_t>(draw(300)));
        });
    const auto model = Model::from_bytes(hostile);
    if (!model) {
      ++refused;
      CHECK(model.error().starts_with("model in memory: damaged bitdial model: "));
      continue;
    }
    ++accepted;
    std::int64_t size = 0;
    for (const ImageShape& shape : model->shapes()) size += shape.size();
    if (size > 20'000) continue;  // legal and large: only the time would be tested
    auto session =
        Session::create(*model, {.path = draw(2) == 0 ? KernelPath::bytes : KernelPath::planes});
    REQUIRE_MESSAGE(session.ok(), session.error());
    const std::vector<std::uint8_t> input(static_cast<std::size_t>(model->input_shape().size()), 9);
    std::vector<float> outputs(static_cast<std::size_t>(model->output_size()));
    for (std::size_t plan = 0; plan < model->plans().size(); ++plan) {
      CHECK(session->run(input, outputs, plan));
    }
  }
  CHECK(refused > 500);
  CHECK(accepted > 100);
}

TEST_CASE("sections: missing, left over, unknown") {
  const std::vector<std::byte> bytes = bytes_of(small_network());
  CHECK(Model::from_bytes(
            forged(bytes, {2, 0}, [](auto& section) { section.push_back(std::byte{0}); }))
            .error() ==
        "model in memory: damaged bitdial model: section graph: 1 bytes are left "
        "over at offset 292");
  CHECK(
      Model::from_bytes(forged(bytes, {1, 0}, [](auto& section) { section.resize(6); })).error() ==
      "model in memory: damaged bitdial model: section network: ends early: needs 4 bytes at "
      "offset 4, 2 are left");
  io::SectionFileWriter empty{model_file_kind};
  const std::vector<std::byte> nothing = empty.finish();
  CHECK(Model::from_bytes(nothing).error() ==
        "model in memory: damaged bitdial model: section 1.0 is missing");

  // A newer minor version may add sections, and fields at the end of sections.
  const auto file = io::SectionFile::parse(bytes, model_file_kind, "x");
  io::SectionFileKind newer = model_file_kind;
  newer.minor += 1;
  io::SectionFileWriter writer{newer};
  writer.add({4711, 3}, std::vector<std::byte>(10));
  for (std::uint32_t id = 1; id <= 6; ++id) {
    for (std::uint32_t i = 0; i < file->count(id); ++i) {
      const std::span<const std::byte> section = *file->section({id, i});
      std::vector<std::byte> longer(section.begin(), section.end());
      if (id < 6) longer.resize(longer.size() + 12);
      writer.add({id, i}, std::move(longer));
    }
  }
  const std::vector<std::byte> from_the_future = writer.finish();
  const auto model = Model::from_bytes(from_the_future);
  CHECK_MESSAGE(model.ok(), model.error());
}

}  // namespace
