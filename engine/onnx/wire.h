// Protocol-buffer wire format: a bounds-checked walk over the fields of one message. What the
// fields of ONNX's messages mean is in proto.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lanewise::onnx {

// Messages nested deeper than this are refused: each level costs stack.
inline constexpr int kMaxDepth = 64;

// Walks one message. A field whose wire type is not the one that is asked for is ignored, like an
// unknown field, as protocol buffers prescribe. Every malformed byte throws ModelError.
class WireReader {
 public:
  // `origin` is the first byte of the file, for the offsets in messages.
  WireReader(std::string_view message, const char* origin)
      : p_(message.data()), end_(p_ + message.size()), origin_(origin) {}

  // Reads the next field; false at the end of the message.
  bool next();
  std::uint32_t field() const { return field_; }
  const char* origin() const { return origin_; }

  // The current field as a scalar: the last one of several wins.
  void read(std::int64_t& out) const;
  void read(std::int32_t& out) const;
  void read(float& out) const;
  void read(bool& present, std::int64_t& out) const;
  void read(bool& present, float& out) const;
  // Bytes, and text, which must be UTF-8.
  void read(std::string_view& out) const;
  void read(bool& present, std::string_view& out) const;
  void read_text(std::string_view& out) const;
  std::string_view text() const;
  // An embedded message; empty when the field is of another type.
  bool is_message() const { return type_ == kLengthDelimited; }
  std::string_view message() const { return value_; }
  // Values of a repeated scalar, packed or not: adds the bytes that hold them. `unpacked` is the
  // wire type of a single value: 0 varint, 1 eight bytes, 5 four bytes.
  void append_packed(int unpacked, std::vector<std::string_view>& chunks) const;
  void append(std::vector<std::int64_t>& out) const;
  void append(std::vector<float>& out) const;

  [[noreturn]] void fail(const std::string& what) const;

 private:
  static constexpr int kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kGroup = 3, kGroupEnd = 4,
                       kFixed32 = 5;

  std::uint64_t read_varint();
  void read_value();
  void skip_group();

  const char* p_;
  const char* end_;
  const char* origin_;
  std::uint32_t field_ = 0;
  int type_ = 0;
  std::uint64_t number_ = 0;  // the value of a varint
  std::string_view value_;    // the bytes of the value
};

// Decodes varints one after another; throws ModelError when the last one is cut off.
std::vector<std::int64_t> decode_varints(const std::vector<std::string_view>& chunks);

bool is_utf8(std::string_view text);

// The text in single quotes, safe to print: control bytes and broken UTF-8 as '?', long ones cut.
std::string quoted(std::string_view text);

}  // namespace lanewise::onnx
