// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/deploy/model_format.hpp>
#include <bitdial/deploy/pack.hpp>
#include <bitdial/train/adam.hpp>
#include <bitdial/train/checkpoint.hpp>
#include <bitdial/train/sgd.hpp>
#include <support/tensors.hpp>
#include <support/training_run.hpp>

using namespace bitdial;

namespace {

/// A path that is gone at the end of the test.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& name)
      : path_{(std::filesystem::temp_directory_path() /
               concat("bitdial_checkpoint_", name, "_",
                      reinterpret_cast<std::uintptr_t>(this) % 1000003))
                  .string()} {}
  ~TemporaryFile() { std::remove(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  void write(const std::vector<char>& bytes) const {
    std::ofstream(path_, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  [[nodiscard]] std::vector<char> read() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string path_;
};

const train::TrainerOptions trainer_options{
    .plans = test::training_plans(),
    .epochs = 2,
    .batch_size = 16,
    .learning_rate = train::CosineSchedule({.rate = 0.1F, .steps = 8, .warmup = 2}),
    .teaching = {.teacher = Teacher::ensemble},
    .augment = {.shift = 2, .flip = true},
    .seed = 4};

struct Finished {
  std::vector<Tensor<float>> tensors;
  std::vector<std::byte> model;
};

/// Trains to the end; at every step in `stops` the run is saved, destroyed, built anew and
/// restored.
template <class Optimizer, class Options, class Key = KeyByPair>
Finished train_with_stops(const std::vector<std::int64_t>& stops,
                          const train::TrainerOptions& options = trainer_options) {
  using Run = test::TrainingRun<Optimizer, Options, Key>;
  const TemporaryFile file("resume");
  const std::string configuration = "tiny, seed 4";
  auto run = std::make_unique<Run>(Options{}, options);
  while (!run->trainer.done()) {
    for (const std::int64_t stop : stops) {
      if (run->trainer.position() != stop) continue;
      train::save_checkpoint(file.path(), configuration, stop, run->trainer.state());
      run = std::make_unique<Run>(Options{}, options);
      nn::initialize(run->network, 999);  // everything must come from the file
      run->trainer.set_position(
          train::load_checkpoint(file.path(), configuration, run->trainer.state()));
      CHECK(run->trainer.position() == stop);
    }
    run->trainer.step();
  }
  CHECK(run->trainer.position() == 8);
  return {test::snapshot(run->network),
          *model_bytes(
              pack(run->network, {.plans = test::training_plans(), .input_shape = {12, 12, 1}}))};
}

template <class Optimizer, class Options>
void check_resumes() {
  const Finished whole = train_with_stops<Optimizer, Options>({});
  const std::vector<std::int64_t> cases[] = {{0}, {1}, {3}, {4}, {7}, {2, 5, 6}};
  for (const std::vector<std::int64_t>& stops : cases) {
    CAPTURE(stops[0]);
    const Finished resumed = train_with_stops<Optimizer, Options>(stops);
    CHECK(resumed.model == whole.model);
    REQUIRE(resumed.tensors.size() == whole.tensors.size());
    for (std::size_t i = 0; i < whole.tensors.size(); ++i) {
      CHECK(test::same_bits(resumed.tensors[i], whole.tensors[i]));
    }
  }
}

/// Two small tensors and their names.
struct Pair {
  Tensor<float> a = test::random_tensor({2, 3}, 1);
  Tensor<float> b = test::random_tensor({4}, 2);

  nn::Named<Tensor<float>> named() { return {{"a", &a}, {"b", &b}}; }
};

/// What loading `file` into fresh tensors says; the tensors must stay as they were.
std::string refusal(const std::string& path, const std::string& configuration = "run") {
  Pair target;
  target.a.fill(5.0F);
  const std::string text = test::error_text<FileError>(
      [&] { static_cast<void>(train::load_checkpoint(path, configuration, target.named())); });
  CHECK_FALSE(text.empty());
  CHECK(test::contains(text, path));
  CHECK(test::same_bits(target.a, Tensor<float>({2, 3}, 5.0F)));
  CHECK(test::same_bits(target.b, test::random_tensor({4}, 2)));
  return text;
}

}  // namespace

TEST_CASE("a run that is stopped anywhere ends with the same bytes: SGD") {
  check_resumes<train::Sgd, train::SgdOptions>();
}

TEST_CASE("a run that is stopped anywhere ends with the same bytes: Adam") {
  check_resumes<train::Adam, train::AdamOptions>();
}

TEST_CASE("so does one with random teachers, swapped blocks and random mixtures of precisions") {
  train::TrainerOptions options = trainer_options;
  options.teaching = methods::coquant(1.0F, Teacher::random);
  options.block_swap = {.probability = train::ConstantSchedule{.rate = 0.5F},
                        .blocks = {{.name = "stem", .first = 0, .count = 1},
                                   {.name = "middle", .first = 1, .count = 1}}};
  options.plans_of_step = BitMixerPlans{.plans = test::training_plans(),
                                        .layers = 3,
                                        .switches_from = 2,
                                        .mixtures_from = 4,
                                        .mixtures = 2};
  const auto train = [&](const std::vector<std::int64_t>& stops) {
    return train_with_stops<train::Sgd, train::SgdOptions, KeyByTransition>(stops, options);
  };
  const Finished whole = train({});
  const std::vector<std::int64_t> cases[] = {{1}, {4}, {2, 5, 6, 7}};
  for (const std::vector<std::int64_t>& stops : cases) {
    CAPTURE(stops[0]);
    const Finished resumed = train(stops);
    CHECK(resumed.model == whole.model);
    REQUIRE(resumed.tensors.size() == whole.tensors.size());
    for (std::size_t i = 0; i < whole.tensors.size(); ++i) {
      CHECK(test::same_bits(resumed.tensors[i], whole.tensors[i]));
    }
  }
}

TEST_CASE("values, step and every bit come back") {
  const TemporaryFile file("round_trip");
  Pair saved;
  saved.a[1] = -0.0F;
  saved.a[2] = std::numeric_limits<float>::denorm_min();
  train::save_checkpoint(file.path(), "run", 123456789012, saved.named());
  Pair loaded;
  loaded.a.fill(0.0F);
  loaded.b.fill(0.0F);
  CHECK(train::load_checkpoint(file.path(), "run", loaded.named()) == 123456789012);
  CHECK(test::same_bits(loaded.a, saved.a));
  CHECK(test::same_bits(loaded.b, saved.b));
}

TEST_CASE("saving again replaces the file, equal states give equal bytes") {
  const TemporaryFile first("first");
  const TemporaryFile second("second");
  Pair pair;
  train::save_checkpoint(first.path(), "run", 1, pair.named());
  train::save_checkpoint(second.path(), "run", 1, pair.named());
  CHECK(first.read() == second.read());
  pair.b[0] += 1.0F;
  train::save_checkpoint(first.path(), "run", 2, pair.named());
  CHECK(first.read() != second.read());
  CHECK(train::load_checkpoint(first.path(), "run", pair.named()) == 2);
}

TEST_CASE("a checkpoint of another run is refused with both sides") {
  const TemporaryFile file("foreign_run");
  Pair saved;
  train::save_checkpoint(file.path(), "run", 3, saved.named());
  const std::string other = refusal(file.path(), "another run");
  CHECK(test::contains(other, "saved by 'run'"));
  CHECK(test::contains(other, "this run is 'another run'"));

  train::save_checkpoint(file.path(), "run", 3, {{"a", &saved.a}});
  CHECK(test::contains(refusal(file.path()), "expected 2 tensors, found 1"));
  train::save_checkpoint(file.path(), "run", 3, {{"a", &saved.a}, {"c", &saved.b}});
  const std::string renamed = refusal(file.path());
  CHECK(test::contains(renamed, "expected 'b'"));
  CHECK(test::contains(renamed, "found 'c'"));
  Tensor<float> reshaped({3, 2});
  train::save_checkpoint(file.path(), "run", 3, {{"a", &reshaped}, {"b", &saved.b}});
  const std::string shape = refusal(file.path());
  CHECK(test::contains(shape, "[2, 3]"));
  CHECK(test::contains(shape, "[3, 2]"));
}

TEST_CASE("a file that is missing, empty, foreign or cut is refused") {
  const TemporaryFile file("damaged");
  refusal(file.path());
  file.write({});
  refusal(file.path());
  const std::string text(300, 'x');
  file.write({text.begin(), text.end()});
  refusal(file.path());

  Pair saved;
  train::save_checkpoint(file.path(), "run", 3, saved.named());
  const std::vector<char> whole = file.read();
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    file.write({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
    refusal(file.path());
  }
}

TEST_CASE("no flipped byte changes what is loaded") {
  const TemporaryFile file("flipped");
  Pair saved;
  train::save_checkpoint(file.path(), "run", 3, saved.named());
  const std::vector<char> whole = file.read();
  std::size_t refused = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::vector<char> damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x41);
    file.write(damaged);
    Pair target;
    target.a.fill(5.0F);
    target.b.fill(5.0F);
    std::int64_t step = 0;
    const std::string text = test::error_text<FileError>(
        [&] { step = train::load_checkpoint(file.path(), "run", target.named()); });
    if (!text.empty()) {
      ++refused;
      CHECK(test::same_bits(target.a, Tensor<float>({2, 3}, 5.0F)));
      CHECK(test::same_bits(target.b, Tensor<float>({4}, 5.0F)));
      continue;
    }
    // A byte that means nothing here (a minor version, padding between sections).
    CHECK(step == 3);
    CHECK(test::same_bits(target.a, saved.a));
    CHECK(test::same_bits(target.b, saved.b));
  }
  CHECK(2 * refused > whole.size());
}

TEST_CASE("a path that cannot be written") {
  Pair pair;
  const std::string path = "/nonexistent_folder/checkpoint";
  CHECK(test::contains(
      test::error_text<FileError>([&] { train::save_checkpoint(path, "run", 0, pair.named()); }),
      path));
}
