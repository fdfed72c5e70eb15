// SPDX-License-Identifier: Apache-2.0
// The C interface over bitdial/runtime.hpp: handles are C++ objects, failures are texts.
#include "bitdial.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/runtime.hpp>

struct bitdial_model {
  bitdial::Model model;
  std::vector<std::string> plan_names;
};

struct bitdial_session {
  bitdial::Session session;
};

namespace {

std::string& last_error() {
  thread_local std::string text;
  return text;
}

int fail(std::string text) {
  last_error() = std::move(text);
  return -1;
}

// C callers cannot catch: running out of memory is a failure like any other.
template <class F>
int guarded(F f) noexcept {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return fail("out of memory");
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}

int keep(bitdial::Result<bitdial::Model> opened, bitdial_model** model) {
  if (!opened) return fail(opened.error());
  std::vector<std::string> names;
  for (const bitdial::PackedPlan& plan : opened->plans()) names.push_back(plan.name());
  *model = new bitdial_model{*std::move(opened), std::move(names)};
  return 0;
}

const bitdial::MeasuredAccuracy* measured(const bitdial_model& model, std::size_t index) {
  const auto& plans = model.model.plans();
  return index < plans.size() && plans[index].accuracy ? &*plans[index].accuracy : nullptr;
}

// What the caller's version of the structure says; members that it does not have are defaults.
bitdial::Result<bitdial::SessionOptions> options_of(const bitdial_session_options* given) {
  bitdial::SessionOptions options;
  if (given == nullptr) return options;
  const std::size_t size = given->struct_size;
  constexpr std::size_t first_version =
      offsetof(bitdial_session_options, arena_size) + sizeof(bitdial_session_options::arena_size);
  if (size < first_version || size > 4096) {
    return bitdial::Failure{bitdial::concat("session options: struct_size is ", size,
                                            ", expected sizeof(bitdial_session_options), here ",
                                            sizeof(bitdial_session_options))};
  }
  bitdial_session_options own = {};
  std::memcpy(&own, given, std::min(size, sizeof own));
  const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
  for (std::size_t i = sizeof own; i < size; ++i) {
    if (bytes[i] != 0) {
      return bitdial::Failure{bitdial::concat(
          "session options: byte ", i, " of ", size, " is set, this library (", bitdial_version(),
          ") knows ", sizeof own, "; use the library that belongs to the header")};
    }
  }
  if (own.threads != 0) options.threads = own.threads;
  if (own.max_batch != 0) options.max_batch = static_cast<std::int64_t>(own.max_batch);
  if (own.plans != nullptr) options.plans.assign(own.plans, own.plans + own.plan_count);
  options.arena = {static_cast<std::byte*>(own.arena), own.arena_size};
  return options;
}

// `count` items of `size` values of type T at `data`; none where no memory holds as many.
template <class T>
std::optional<std::span<T>> items(T* data, std::size_t count, std::size_t size) {
  constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
  if (count > most / sizeof(T) / size) return std::nullopt;
  return std::span<T>{data, count * size};
}

std::size_t image_size(const bitdial_session& session) {
  return static_cast<std::size_t>(session.session.model().input_shape().size());
}

int too_many(std::size_t count) {
  return fail(bitdial::concat("session: ", count, " images, more than memory can hold"));
}

}  // namespace

const char* bitdial_version() {
  static const std::string text = bitdial::concat(BITDIAL_VERSION_MAJOR, ".", BITDIAL_VERSION_MINOR,
                                                  ".", BITDIAL_VERSION_PATCH);
  return text.c_str();
}

const char* bitdial_last_error() {
  return last_error().c_str();
}

int bitdial_model_open(const char* path, bitdial_model** model) {
  return guarded([&] { return keep(bitdial::Model::open(path), model); });
}

int bitdial_model_from_memory(const void* bytes, std::size_t size, bitdial_model** model) {
  return guarded([&] {
    return keep(bitdial::Model::from_bytes({static_cast<const std::byte*>(bytes), size}), model);
  });
}

void bitdial_model_close(bitdial_model* model) {
  delete model;
}

void bitdial_model_input(const bitdial_model* model, std::size_t shape[3]) {
  for (int i = 0; i < 3; ++i) {
    shape[i] = static_cast<std::size_t>(model->model.input_shape()[i]);
  }
}

const char* bitdial_model_channels(const bitdial_model* model) {
  return model->model.preprocessing().channels.c_str();
}

float bitdial_model_centre(const bitdial_model* model) {
  return model->model.preprocessing().centre;
}

std::size_t bitdial_model_outputs(const bitdial_model* model) {
  return static_cast<std::size_t>(model->model.output_size());
}

const char* bitdial_model_label(const bitdial_model* model, std::size_t index) {
  const auto& labels = model->model.labels();
  return index < labels.size() ? labels[index].c_str() : nullptr;
}

std::size_t bitdial_model_plans(const bitdial_model* model) {
  return model->plan_names.size();
}

const char* bitdial_model_plan_name(const bitdial_model* model, std::size_t index) {
  return index < model->plan_names.size() ? model->plan_names[index].c_str() : nullptr;
}

double bitdial_model_plan_accuracy(const bitdial_model* model, std::size_t index) {
  const bitdial::MeasuredAccuracy* const accuracy = measured(*model, index);
  return accuracy != nullptr ? accuracy->top1 : -1.0;
}

std::uint64_t bitdial_model_plan_samples(const bitdial_model* model, std::size_t index) {
  const bitdial::MeasuredAccuracy* const accuracy = measured(*model, index);
  return accuracy != nullptr ? accuracy->samples : 0;
}

const char* bitdial_model_plan_data_set(const bitdial_model* model, std::size_t index) {
  const bitdial::MeasuredAccuracy* const accuracy = measured(*model, index);
  return accuracy != nullptr ? accuracy->data_set.c_str() : nullptr;
}

std::size_t bitdial_model_plan_bytes(const bitdial_model* model, std::size_t index) {
  if (index >= model->plan_names.size()) return 0;
  return static_cast<std::size_t>(model->model.packed_bytes(index));
}

int bitdial_model_find_plan(const bitdial_model* model, const char* name, std::size_t* index) {
  return guarded([&] {
    const auto found = model->model.find_plan(name);
    if (!found) return fail(found.error());
    *index = *found;
    return 0;
  });
}

int bitdial_session_memory(const bitdial_model* model, const bitdial_session_options* options,
                           std::size_t* bytes) {
  return guarded([&] {
    const auto chosen = options_of(options);
    if (!chosen) return fail(chosen.error());
    const auto memory = bitdial::Session::plan_memory(model->model, *chosen);
    if (!memory) return fail(memory.error());
    *bytes = memory->arena();
    return 0;
  });
}

int bitdial_session_create(const bitdial_model* model, const bitdial_session_options* options,
                           bitdial_session** session) {
  return guarded([&] {
    const auto chosen = options_of(options);
    if (!chosen) return fail(chosen.error());
    auto created = bitdial::Session::create(model->model, *chosen);
    if (!created) return fail(created.error());
    *session = new bitdial_session{*std::move(created)};
    return 0;
  });
}

void bitdial_session_close(bitdial_session* session) {
  delete session;
}

int bitdial_session_run(bitdial_session* session, std::size_t plan, const std::uint8_t* images,
                        std::size_t count, float* outputs) {
  return guarded([&] {
    const auto values = static_cast<std::size_t>(session->session.model().output_size());
    const auto pixels = items(images, count, image_size(*session));
    const auto results = items(outputs, count, values);
    if (!pixels || !results) return too_many(count);
    const auto done = session->session.run(*pixels, *results, plan);
    return done ? 0 : fail(done.error());
  });
}

int bitdial_session_classify(bitdial_session* session, std::size_t plan, const std::uint8_t* images,
                             std::size_t count, std::int32_t* classes) {
  return guarded([&] {
    const auto pixels = items(images, count, image_size(*session));
    const auto labels = items(classes, count, 1);
    if (!pixels || !labels) return too_many(count);
    const auto done = session->session.classify(*pixels, *labels, plan);
    return done ? 0 : fail(done.error());
  });
}
