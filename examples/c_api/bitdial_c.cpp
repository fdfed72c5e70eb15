// SPDX-License-Identifier: Apache-2.0
// The C interface over bitdial/runtime.hpp: handles are C++ objects, failures are texts.
#include "bitdial.h"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
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

bitdial::SessionOptions options_of(const bitdial_session_options* given) {
  bitdial::SessionOptions options;
  if (given == nullptr) return options;
  if (given->threads != 0) options.threads = given->threads;
  if (given->max_batch != 0) options.max_batch = static_cast<std::int64_t>(given->max_batch);
  if (given->plans != nullptr) options.plans.assign(given->plans, given->plans + given->plan_count);
  options.arena = {static_cast<std::byte*>(given->arena), given->arena_size};
  return options;
}

std::span<const std::uint8_t> pixels(const bitdial_session& session, const std::uint8_t* images,
                                     std::size_t count) {
  const auto size = static_cast<std::size_t>(session.session.model().input_shape().size());
  return {images, count * size};
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
    const auto memory = bitdial::Session::plan_memory(model->model, options_of(options));
    if (!memory) return fail(memory.error());
    *bytes = memory->bytes();
    return 0;
  });
}

int bitdial_session_create(const bitdial_model* model, const bitdial_session_options* options,
                           bitdial_session** session) {
  return guarded([&] {
    auto created = bitdial::Session::create(model->model, options_of(options));
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
    const auto values = count * static_cast<std::size_t>(session->session.model().output_size());
    const auto done =
        session->session.run(pixels(*session, images, count), {outputs, values}, plan);
    return done ? 0 : fail(done.error());
  });
}

int bitdial_session_classify(bitdial_session* session, std::size_t plan, const std::uint8_t* images,
                             std::size_t count, std::int32_t* classes) {
  return guarded([&] {
    const auto done =
        session->session.classify(pixels(*session, images, count), {classes, count}, plan);
    return done ? 0 : fail(done.error());
  });
}
