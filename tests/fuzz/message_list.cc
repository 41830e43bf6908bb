#include "tests/fuzz/message_list.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <random>

#include "kafed/v1/admin.pb.h"
#include "kafed/v1/routing.pb.h"

// libFuzzer's own mutations, of a string.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace kafed::fuzz {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::Reflection;
using google::protobuf::TextFormat;

// Few, so that messages are about the same things.
constexpr std::array<const char*, 36> kWords = {
    "",        "a",        "b",      "c",
    "eu",      "us",       "ap",     "z1",
    "z2",      "nca",      "vpc",    "elb",
    "ord",     "h1",       "h2",     "h3",
    "h4",      "h5",       "v1",     "v2",
    "v3",      "lb1",      "lb2",    "i1",
    "i2",      "nca/h1",   "vpc/v1", "elb/lb1",
    "ord/",    "cpu",      "mem",    "127.0.0.1:1",
    "k:1,l:2", "embedded", "-x",     "\xc3\xa9\xe2\x82\xac"};
constexpr std::array<uint64_t, 20> kNumbers = {
    0,          1,          2,          3,          4,
    7,          10,         50,         100,        1'000,
    1'112,      65'535,     100'000,    1'000'001,  0x7fffffff,
    0x80000000, UINT32_MAX, 1ull << 32, 1ull << 63, UINT64_MAX};
constexpr size_t kMaxRepeated = 12;

class Quiet : public google::protobuf::io::ErrorCollector {
  void AddError(int, int, const std::string&) override {}
};

// What it has to say of hostile input is no news here.
[[maybe_unused]] const auto former_log_handler =
    google::protobuf::SetLogHandler(nullptr);

const Message* FindKind(std::string_view name) {
  for (const auto& [kind, message] : ListKinds()) {
    if (kind == name) return message;
  }
  return nullptr;
}

class Mutator {
 public:
  explicit Mutator(unsigned int seed) : random_(seed) {}

  size_t Below(size_t bound) { return random_() % bound; }
  bool OneIn(size_t n) { return Below(n) == 0; }

  Listed NewRandom() {
    const auto& [kind, message] = ListKinds()[Below(ListKinds().size())];
    Listed listed{kind, std::unique_ptr<Message>(message->New())};
    for (size_t i = 1 + Below(4); i > 0; --i) Change(listed.message.get(), 0);
    return listed;
  }

  void ChangeList(std::vector<Listed>* list) {
    const size_t at = list->empty() ? 0 : Below(list->size());
    const size_t action = list->empty() ? 0 : Below(12);
    const auto here = list->begin() + static_cast<long>(at);
    if (action == 0) {
      list->insert(here, NewRandom());
    } else if (action == 1) {
      list->erase(here);
    } else if (action == 2) {
      list->insert(here, Copy(*here));
    } else if (action == 3) {
      std::swap((*list)[at], (*list)[Below(list->size())]);
    } else if (action == 4) {  // the same, a little different, later
      Listed other = Copy(*here);
      Change(other.message.get(), 0);
      list->push_back(std::move(other));
    } else {
      for (size_t i = 1 + Below(3); i > 0; --i) Change(here->message.get(), 0);
    }
  }

  static Listed Copy(const Listed& listed) {
    Listed copy{listed.kind, std::unique_ptr<Message>(listed.message->New())};
    copy.message->CopyFrom(*listed.message);
    return copy;
  }

 private:
  void Change(Message* message, int depth) {
    const Descriptor* type = message->GetDescriptor();
    if (type->field_count() == 0 || depth > 4) return;
    const FieldDescriptor* field =
        type->field(static_cast<int>(Below(type->field_count())));
    const Reflection* reflection = message->GetReflection();
    if (!field->is_repeated()) {
      if (OneIn(8)) return reflection->ClearField(message, field);
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        return Change(reflection->MutableMessage(message, field), depth + 1);
      }
      return SetSingle(message, field);
    }
    const int size = reflection->FieldSize(*message, field);
    const size_t action = size == 0 ? 0 : Below(4);
    if (action == 0 && size < static_cast<int>(kMaxRepeated)) {
      Add(message, field, depth);
    } else if (action == 1) {
      reflection->RemoveLast(message, field);
    } else if (action == 2) {
      reflection->SwapElements(message, field, 0,
                               static_cast<int>(Below(size)));
    } else if (size > 0) {
      ChangeElement(message, field, static_cast<int>(Below(size)), depth);
    }
  }

  void Add(Message* message, const FieldDescriptor* field, int depth) {
    const Reflection* reflection = message->GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        Message* added = reflection->AddMessage(message, field);
        for (int i = 0; i < 3; ++i) Change(added, depth + 1);
        return;
      }
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection->AddString(message, field, Text({}));
      case FieldDescriptor::CPPTYPE_UINT32:
        return reflection->AddUInt32(message, field,
                                     static_cast<uint32_t>(Number()));
      default:
        return;
    }
  }

  void ChangeElement(Message* message, const FieldDescriptor* field, int at,
                     int depth) {
    const Reflection* reflection = message->GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Change(reflection->MutableRepeatedMessage(message, field, at),
                      depth + 1);
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection->SetRepeatedString(
            message, field, at,
            Text(reflection->GetRepeatedString(*message, field, at)));
      case FieldDescriptor::CPPTYPE_UINT32:
        return reflection->SetRepeatedUInt32(message, field, at,
                                             static_cast<uint32_t>(Number()));
      default:
        return;
    }
  }

  void SetSingle(Message* message, const FieldDescriptor* field) {
    const Reflection* reflection = message->GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection->SetString(
            message, field, Text(reflection->GetString(*message, field)));
      case FieldDescriptor::CPPTYPE_UINT32:
        return reflection->SetUInt32(message, field,
                                     static_cast<uint32_t>(Number()));
      case FieldDescriptor::CPPTYPE_UINT64:
        return reflection->SetUInt64(message, field, Number());
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection->SetBool(message, field, OneIn(2));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return reflection->SetDouble(message, field, Real());
      case FieldDescriptor::CPPTYPE_ENUM:
        return reflection->SetEnumValue(
            message, field,
            static_cast<int>(OneIn(10)
                                 ? Number()
                                 : Below(field->enum_type()->value_count())));
      default:
        return;
    }
  }

  std::string Text(const std::string& now) {
    if (!OneIn(4)) return kWords[Below(kWords.size())];
    std::string text = now;
    if (OneIn(8)) text.append(1 + Below(300), 'x');
    const size_t size = text.size();
    text.resize(size + 16);
    text.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(text.data()), size,
                                 text.size()));
    return text;
  }

  uint64_t Number() {
    return OneIn(4) ? random_() : kNumbers[Below(kNumbers.size())];
  }

  double Real() {
    constexpr std::array<double, 10> kReals = {
        0,
        1,
        0.5,
        100,
        -1,
        1e300,
        1e-300,
        std::numeric_limits<double>::infinity(),
        std::numeric_limits<double>::quiet_NaN(),
        3};
    return kReals[Below(kReals.size())];
  }

  std::minstd_rand random_;
};

size_t Put(std::vector<Listed> list, uint8_t* out, size_t max_size) {
  if (list.size() > kMaxListed) list.resize(kMaxListed);
  std::string text = ToText(list);
  while (text.size() > max_size && !list.empty()) {
    list.pop_back();
    text = ToText(list);
  }
  std::memcpy(out, text.data(), text.size());
  return text.size();
}

}  // namespace

Kinds RpcKinds() {
  Kinds kinds;
  for (const auto* file : {v1::StatusRequest::descriptor()->file(),
                           v1::RouteRequest::descriptor()->file()}) {
    for (int i = 0; i < file->service(0)->method_count(); ++i) {
      const auto* method = file->service(0)->method(i);
      kinds.emplace_back(method->name(),
                         MessageFactory::generated_factory()->GetPrototype(
                             method->input_type()));
    }
  }
  return kinds;
}

void KeepSmall(Message* message) {
  constexpr uint32_t kFew = 4;
  constexpr uint32_t kAbsurd = 100'000;  // for the validator to refuse
  const auto fewer = [](uint32_t number, uint32_t most) {
    return number > most && number <= kAbsurd ? number % most + 1 : number;
  };
  if (message->GetDescriptor() == v1::Limits::descriptor()) {
    auto* limits = static_cast<v1::Limits*>(message);
    limits->set_partitions_per_topic(
        fewer(limits->partitions_per_topic(), kFew));
    return;
  }
  if (message->GetDescriptor() == v1::TopicSpec::descriptor()) {
    auto* spec = static_cast<v1::TopicSpec*>(message);
    spec->set_partitions(fewer(spec->partitions(), 4 * kFew));
  }
  if (message->GetDescriptor() == v1::SubClusterSpec::descriptor()) {
    auto* profile =
        static_cast<v1::SubClusterSpec*>(message)->mutable_profile();
    if (profile->partitions_per_topic() == 0) {
      profile->set_partitions_per_topic(kFew);
    }
  }
  std::vector<const FieldDescriptor*> fields;
  message->GetReflection()->ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (!field->is_repeated() &&
        field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      KeepSmall(message->GetReflection()->MutableMessage(message, field));
    }
  }
}

std::vector<Listed> ParseList(std::string_view text) {
  std::vector<Listed> list;
  Quiet quiet;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&quiet);
  parser.SetRecursionLimit(16);
  while (!text.empty() && list.size() < kMaxListed) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const size_t space = std::min(line.find(' '), line.size());
    const Message* type = FindKind(line.substr(0, space));
    if (type == nullptr) continue;
    Listed listed{std::string(line.substr(0, space)),
                  std::unique_ptr<Message>(type->New())};
    std::string bytes;
    if (parser.ParseFromString(std::string(line.substr(space)),
                               listed.message.get()) &&
        listed.message->SerializeToString(&bytes) &&
        listed.message->ParseFromString(bytes)) {
      list.push_back(std::move(listed));
    }
  }
  return list;
}

std::string ToText(const std::vector<Listed>& list) {
  TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  for (const Listed& listed : list) {
    std::string line;
    printer.PrintToString(*listed.message, &line);
    text += listed.kind + " " + line + "\n";
  }
  return text;
}

size_t MutateList(uint8_t* data, size_t size, size_t max_size,
                  unsigned int seed) {
  std::vector<Listed> list =
      ParseList({reinterpret_cast<const char*>(data), size});
  Mutator mutator(seed);
  for (size_t i = 1 + mutator.Below(3); i > 0; --i) {
    mutator.ChangeList(&list);
  }
  return Put(std::move(list), data, max_size);
}

size_t CrossLists(std::string_view one, std::string_view other, uint8_t* out,
                  size_t max_size, unsigned int seed) {
  std::vector<Listed> list = ParseList(one);
  Mutator mutator(seed);
  for (Listed& listed : ParseList(other)) {
    if (mutator.OneIn(2)) continue;
    const size_t at = mutator.Below(list.size() + 1);
    list.insert(list.begin() + static_cast<long>(at), std::move(listed));
  }
  return Put(std::move(list), out, max_size);
}

}  // namespace kafed::fuzz
