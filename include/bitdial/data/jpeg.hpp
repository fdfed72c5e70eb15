// SPDX-License-Identifier: Apache-2.0
// JPEG files through libjpeg-turbo. The only header that needs it: include it yourself and link
// `bitdial::jpeg`; no umbrella includes it.
#pragma once

#include <turbojpeg.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <bitdial/core/error.hpp>
#include <bitdial/core/shape.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/data/image_source.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// The largest JPEG that is decoded unless told otherwise, in pixels: 64 million.
inline constexpr std::int64_t default_jpeg_pixels = std::int64_t{1} << 26;

namespace detail {

/// A decompressor of libjpeg-turbo. After an error its state is not trusted: a new one is made.
class JpegDecompressor {
 public:
  /// The one of this thread.
  [[nodiscard]] static JpegDecompressor& of_this_thread() {
    thread_local JpegDecompressor mine;
    return mine;
  }
  [[nodiscard]] tjhandle handle() {
    if (!handle_) handle_.reset(tjInitDecompress());
    if (!handle_) throw Error("decode_jpeg: libjpeg-turbo cannot start a decompressor");
    return handle_.get();
  }
  /// Throws what went wrong in the last call.
  [[noreturn]] void fail(const std::string& source) {
    const std::string text =
        concat(source, ": expected a JPEG, found damage: ", tjGetErrorStr2(handle_.get()));
    handle_ = nullptr;
    throw FileError(text);
  }

 private:
  struct Closer {
    void operator()(void* handle) const noexcept { static_cast<void>(tjDestroy(handle)); }
  };
  std::unique_ptr<void, Closer> handle_;
};

/// RGB of pixels that libjpeg-turbo decodes to CMYK, which JPEG files hold inverted (Adobe).
inline void cmyk_to_rgb(ImageMemory& memory) {
  const std::size_t pixels = memory.size() / 4;
  for (std::size_t i = 0; i < pixels; ++i) {
    const unsigned key = memory[4 * i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      memory[3 * i + c] = static_cast<std::uint8_t>((memory[4 * i + c] * key + 127U) / 255U);
    }
  }
  memory.resize(3 * pixels);
}

}  // namespace detail

/// Decodes a JPEG into `memory`, `[H, W, 3]` RGB; grey and CMYK images are converted.
///
/// `source` is the file name for errors. Throws `FileError` for anything but a whole, undamaged
/// JPEG (a warning of the decoder is damage: truncated data, bad codes) and for more than
/// `max_pixels`, before memory is taken. At most 500 scans of a progressive file are read.
[[nodiscard]] inline Shape decode_jpeg(std::span<const std::byte> bytes, const std::string& source,
                                       ImageMemory& memory,
                                       std::int64_t max_pixels = default_jpeg_pixels) {
  auto& decompressor = detail::JpegDecompressor::of_this_thread();
  const tjhandle handle = decompressor.handle();
  const auto* const data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto size = static_cast<unsigned long>(bytes.size());
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colours = 0;
  if (bytes.size() < 2 || data[0] != 0xFF || data[1] != 0xD8) {
    const bool png = bytes.size() >= 4 && data[1] == 'P' && data[2] == 'N' && data[3] == 'G';
    throw FileError(concat(source, ": expected a JPEG, found ",
                           bytes.empty() ? "an empty file"
                           : png         ? "a PNG"
                                         : "another format"));
  }
  if (tjDecompressHeader3(handle, data, size, &width, &height, &subsampling, &colours) != 0) {
    decompressor.fail(source);
  }
  if (width < 1 || height < 1 || height > max_pixels / width) {
    throw FileError(concat(source, ": expected an image of at most ", max_pixels, " pixels, found ",
                           width, " x ", height));
  }
  const bool cmyk = colours == TJCS_CMYK || colours == TJCS_YCCK;
  memory.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                (cmyk ? 4U : 3U));
  if (tjDecompress2(handle, data, size, memory.data(), width, 0, height,
                    cmyk ? TJPF_CMYK : TJPF_RGB, TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS) != 0) {
    decompressor.fail(source);
  }
  if (cmyk) detail::cmyk_to_rgb(memory);
  return {height, width, 3};
}

/// `decode_jpeg` with the default limit: an `ImageDecoder` for folders of images.
[[nodiscard]] inline Shape decode_jpeg_file(std::span<const std::byte> bytes,
                                            const std::string& source, ImageMemory& memory) {
  return decode_jpeg(bytes, source, memory);
}

}  // namespace bitdial::inline BITDIAL_ABI::data
