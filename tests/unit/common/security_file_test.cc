#include "common/security_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace kafed {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class SecurityFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/security-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void WriteFile(const std::string& text) {
    std::ofstream(directory_ + "/eu1") << text;
  }
  std::string ErrorOf(const std::string& text) {
    WriteFile(text);
    const auto read = ReadSecurityFile(directory_, "eu1");
    EXPECT_TRUE(absl::IsFailedPrecondition(read.status())) << read.status();
    return read.status().ToString();
  }

  std::string directory_;
};

TEST_F(SecurityFileTest, ReadsProperties) {
  WriteFile(
      "# how to log in\r\n\nsecurity.protocol = SASL_SSL\n"
      "  sasl.password=a = b # c  \nssl.ca.location =\t/etc/ca.pem\n");
  const auto read = ReadSecurityFile(directory_, "eu1");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(*read,
              UnorderedElementsAre(Pair("security.protocol", "SASL_SSL"),
                                   Pair("sasl.password", "a = b # c"),
                                   Pair("ssl.ca.location", "/etc/ca.pem")));
}

TEST_F(SecurityFileTest, AnEmptyRefMeansNone) {
  const auto read = ReadSecurityFile("", "");
  ASSERT_TRUE(read.ok());
  EXPECT_THAT(*read, IsEmpty());
}

TEST_F(SecurityFileTest, NamesFileAndLineButNoValue) {
  std::string error =
      ErrorOf("ssl.ca.location = x\nsasl.password hunter-two\n");
  EXPECT_THAT(error, HasSubstr("eu1:2: expected 'name = value'"));
  EXPECT_THAT(error, Not(HasSubstr("hunter")));
  error = ErrorOf("hunter-two=\n");
  EXPECT_THAT(error, HasSubstr("eu1:1: the property before '='"));
  EXPECT_THAT(error, Not(HasSubstr("hunter")));
  error = ErrorOf("bootstrap.servers = a:1\n");
  EXPECT_THAT(error, HasSubstr("eu1:1: the property"));
  error = ErrorOf("sasl.password = hunter\nsasl.password = hunter\n");
  EXPECT_THAT(error, HasSubstr("eu1:2: sasl.password is given twice"));
  EXPECT_THAT(error, Not(HasSubstr("hunter")));
}

TEST_F(SecurityFileTest, RefusesPathsAndMissingFiles) {
  for (const char* ref : {"../eu1", "a/b", "."}) {
    EXPECT_THAT(ReadSecurityFile(directory_, ref).status().ToString(),
                HasSubstr("must be the plain name of a file"));
  }
  EXPECT_THAT(ReadSecurityFile(directory_, "none").status().ToString(),
              HasSubstr("No such file"));
  EXPECT_THAT(ReadSecurityFile("", "eu1").status().ToString(),
              HasSubstr("secrets_dir, the folder of credentials, is not"));
}

}  // namespace
}  // namespace kafed
