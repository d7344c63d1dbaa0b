// Protocol-buffer wire format.
#include "engine/onnx/wire.h"

#include <bit>
#include <cstring>

#include "engine/base/error.h"

namespace lanewise::onnx {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor bytes are used as they lie");

// Reads one varint from [p, end); null when it is cut off or longer than ten bytes.
const char* parse_varint(const char* p, const char* end, std::uint64_t& out) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 70 && p < end; shift += 7) {
    const auto byte = static_cast<std::uint64_t>(static_cast<unsigned char>(*p++));
    if (shift < 64) value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      out = value;
      return p;
    }
  }
  return nullptr;
}

// Length of the UTF-8 sequence at the start of `text`, or 0 when there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and code points past U+10FFFF.
  if (lead == 0xe0 && byte(1) < 0xa0) return 0;
  if (lead == 0xed && byte(1) > 0x9f) return 0;
  if (lead == 0xf0 && byte(1) < 0x90) return 0;
  if (lead == 0xf4 && byte(1) > 0x8f) return 0;
  return length;
}

}  // namespace

void WireReader::fail(const std::string& what) const {
  throw ModelError("not an ONNX model, or a damaged one: " + what + " at byte " +
                   std::to_string(p_ - origin_) + "; check that the file is complete");
}

std::uint64_t WireReader::read_varint() {
  std::uint64_t value = 0;
  const char* next = parse_varint(p_, end_, value);
  if (next == nullptr) fail("a number is cut off or too long");
  p_ = next;
  return value;
}

void WireReader::read_value() {
  const char* start = p_;
  std::size_t size = 0;
  switch (type_) {
    case kVarint:
      number_ = read_varint();
      value_ = {start, static_cast<std::size_t>(p_ - start)};
      return;
    case kFixed64: size = 8; break;
    case kFixed32: size = 4; break;
    case kLengthDelimited: {
      const std::uint64_t length = read_varint();
      const auto left = static_cast<std::uint64_t>(end_ - p_);
      if (length > left) {
        fail("field " + std::to_string(field_) + " needs " + std::to_string(length) +
             " bytes and only " + std::to_string(left) + " are left");
      }
      size = static_cast<std::size_t>(length);
      break;
    }
    default: fail("field " + std::to_string(field_) + " has an unknown wire type");
  }
  if (size > static_cast<std::size_t>(end_ - p_)) fail("a value is cut off");
  value_ = {p_, size};
  p_ += size;
}

void WireReader::skip_group() {
  std::vector<std::uint32_t> open = {field_};
  while (!open.empty()) {
    const std::uint64_t tag = read_varint();
    field_ = static_cast<std::uint32_t>(tag >> 3);
    type_ = static_cast<int>(tag & 7);
    if (type_ == kGroup) {
      if (open.size() >= static_cast<std::size_t>(kMaxDepth)) fail("groups are nested too deeply");
      open.push_back(field_);
    } else if (type_ == kGroupEnd) {
      if (field_ != open.back()) fail("a group does not end");
      open.pop_back();
    } else {
      read_value();
    }
  }
}

bool WireReader::next() {
  while (p_ < end_) {
    const std::uint64_t tag = read_varint();
    if (tag >> 3 == 0 || tag >> 32 != 0) fail("a field has an impossible number");
    field_ = static_cast<std::uint32_t>(tag >> 3);
    type_ = static_cast<int>(tag & 7);
    if (type_ != kGroup) {
      read_value();
      return true;
    }
    skip_group();
  }
  return false;
}

void WireReader::read(std::int64_t& out) const {
  if (type_ == kVarint) out = static_cast<std::int64_t>(number_);
}

void WireReader::read(std::int32_t& out) const {
  if (type_ == kVarint) out = static_cast<std::int32_t>(static_cast<std::uint32_t>(number_));
}

void WireReader::read(float& out) const {
  if (type_ == kFixed32) std::memcpy(&out, value_.data(), 4);
}

void WireReader::read(bool& present, std::int64_t& out) const {
  present = present || type_ == kVarint;
  read(out);
}

void WireReader::read(bool& present, float& out) const {
  present = present || type_ == kFixed32;
  read(out);
}

void WireReader::read(std::string_view& out) const {
  if (type_ == kLengthDelimited) out = value_;
}

void WireReader::read(bool& present, std::string_view& out) const {
  present = present || type_ == kLengthDelimited;
  read(out);
}

void WireReader::read_text(std::string_view& out) const {
  if (type_ == kLengthDelimited) out = text();
}

std::string_view WireReader::text() const {
  if (!is_utf8(value_)) fail("a name that is not UTF-8 text, " + quoted(value_) + ", ends");
  return value_;
}

void WireReader::append_packed(int unpacked, std::vector<std::string_view>& chunks) const {
  if (type_ == unpacked || (type_ == kLengthDelimited && !value_.empty())) chunks.push_back(value_);
}

void WireReader::append(std::vector<std::int64_t>& out) const {
  if (type_ == kVarint) {
    out.push_back(static_cast<std::int64_t>(number_));
  } else if (type_ == kLengthDelimited) {
    const std::vector<std::int64_t> values = decode_varints({value_});
    out.insert(out.end(), values.begin(), values.end());
  }
}

void WireReader::append(std::vector<float>& out) const {
  if (type_ != kFixed32 && type_ != kLengthDelimited) return;
  if (value_.size() % 4 != 0) fail("a list of floats ends inside a float");
  const std::size_t before = out.size();
  out.resize(before + value_.size() / 4);
  if (!value_.empty()) std::memcpy(out.data() + before, value_.data(), value_.size());
}

std::vector<std::int64_t> decode_varints(const std::vector<std::string_view>& chunks) {
  std::vector<std::int64_t> values;
  for (std::string_view chunk : chunks) {
    const char* p = chunk.data();
    const char* end = p + chunk.size();
    while (p < end) {
      std::uint64_t value = 0;
      p = parse_varint(p, end, value);
      if (p == nullptr) throw ModelError("damaged ONNX model: a list of integers is cut off");
      values.push_back(static_cast<std::int64_t>(value));
    }
  }
  return values;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kMost = 200;
  std::string result = "'";
  while (!text.empty() && result.size() < kMost) {
    const std::size_t length = utf8_length(text);
    const bool printable = length > 1 || (length == 1 && text[0] >= ' ' && text[0] != 0x7f);
    result += printable ? text.substr(0, length) : std::string_view("?");
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result + (text.empty() ? "'" : "...'");
}

}  // namespace lanewise::onnx
