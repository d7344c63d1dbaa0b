// Mapping files, and the walk that keeps external data inside its folder.
#include "engine/onnx/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/base/error.h"
#include "engine/onnx/wire.h"

namespace lanewise::onnx {
namespace {

std::string errno_text(int code) { return std::generic_category().message(code); }

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// Opening a named pipe must not wait for its writer; fstat then refuses it.
constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

[[noreturn]] void refuse(std::string_view location, const std::string& reason) {
  throw ModelError("external data " + quoted(location) + ": " + reason);
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::map(int descriptor, const std::string& name,
                                                  std::uint64_t max_bytes) {
  const Descriptor file(descriptor);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) {
    throw ModelError("cannot read " + quoted(name) + ": " + errno_text(errno));
  }
  if (S_ISDIR(info.st_mode)) {
    throw ModelError(quoted(name) + " is a folder; give the path of an .onnx file");
  }
  if (!S_ISREG(info.st_mode)) {
    throw ModelError(quoted(name) + " is not a regular file; read it and give its bytes instead");
  }
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size == 0)
    throw ModelError(quoted(name) + " is an empty file, not an ONNX model or its data");
  if (size > max_bytes) {
    throw ResourceError(quoted(name) + " has " + std::to_string(size) +
                        " bytes, more than the limit of " + std::to_string(max_bytes));
  }
  void* data =
      ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) {
    throw ResourceError("cannot map " + quoted(name) + ": " + errno_text(errno));
  }
  return std::make_shared<const MappedFile>(static_cast<const std::byte*>(data),
                                            static_cast<std::size_t>(size));
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path,
                                                   std::uint64_t max_bytes) {
  if (path.find('\0') != std::string::npos) throw ModelError("the path holds a null character");
  const int fd = ::open(path.c_str(), kReadFlags);
  if (fd < 0) throw ModelError("cannot open " + quoted(path) + ": " + errno_text(errno));
  return map(fd, path, max_bytes);
}

MappedFile::~MappedFile() { ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }

void MappedFile::forget(const std::byte* data, std::size_t size) const noexcept {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(data);
  const std::uintptr_t begin = (first + page - 1) / page * page, end = (first + size) / page * page;
  if (begin >= end) return;
  // Nobody writes to a mapping of our own: its pages are the file's, and a refusal costs memory.
  const auto offset = static_cast<std::size_t>(begin - first);
  (void)::madvise(const_cast<std::byte*>(data + offset), end - begin, MADV_DONTNEED);
}

std::shared_ptr<const MappedFile> ExternalFiles::get(std::string_view location) {
  const auto known = files_.find(location);
  if (known != files_.end()) return known->second;
  if (folder_.empty()) {
    refuse(location,
           "a model given as bytes has no folder to find it in; load the model by its path");
  }
  const int fd = open_below(location);
  auto file = MappedFile::map(fd, folder_ + "/" + std::string(location), max_bytes_);
  mapped_bytes_ += file->bytes().size();
  files_.emplace(std::string(location), file);
  return file;
}

// Walks the path part by part from the folder, so that no step can leave it, whatever changes on
// disk meanwhile.
int ExternalFiles::open_below(std::string_view location) const {
  const std::string advice = "; keep the data in a regular file in the model's folder";
  if (location.empty()) refuse(location, "the location is empty" + advice);
  if (location.find('\0') != std::string_view::npos) refuse(location, "holds a null character");
  if (location.front() == '/') refuse(location, "is an absolute path" + advice);

  Descriptor folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) refuse(location, "cannot open the model's folder: " + errno_text(errno));
  std::string_view rest = location;
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string part(rest.substr(0, slash));
    const bool last = slash == std::string_view::npos;
    if (part == "..") refuse(location, "leaves the model's folder through '..'" + advice);
    if (part.empty() && last) refuse(location, "names a folder" + advice);
    if (!part.empty() && part != ".") {
      const int flags = kReadFlags | O_NOFOLLOW | (last ? 0 : O_DIRECTORY);
      Descriptor next(::openat(folder.get(), part.c_str(), flags));
      if (next.get() < 0) {
        struct stat info{};
        const int code = errno;
        const bool link = ::fstatat(folder.get(), part.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                          S_ISLNK(info.st_mode);
        refuse(location, link ? quoted(part) + " is a symbolic link" + advice
                              : "cannot open it: " + errno_text(code));
      }
      folder = std::move(next);
    }
    if (last) break;
    rest.remove_prefix(slash + 1);
  }
  struct stat info{};
  if (::fstat(folder.get(), &info) != 0) refuse(location, errno_text(errno));
  if (!S_ISREG(info.st_mode)) refuse(location, "is not a regular file" + advice);
  if (info.st_nlink > 1) {
    refuse(location, "has a second hard link, perhaps outside the folder; copy the file");
  }
  return folder.release();
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace lanewise::onnx
