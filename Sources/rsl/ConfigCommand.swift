import ArgumentParser
import Foundation
import RealRuntime

struct Config: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check and explain configurations.", subcommands: [Print.self, Check.self, Keys.self])

  struct Print: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case yaml, json }

    static let configuration = CommandConfiguration(
      abstract: "Print every value in effect and where it comes from.",
      discussion: "The output is a configuration file with the same effect.")

    @OptionGroup var arguments: ConfigurationArguments
    @Option(help: "yaml or json.") var format = Format.yaml

    func run() throws {
      let loaded = try arguments.load()
      switch format {
      case .yaml: print(loaded.yaml, terminator: "")
      case .json: print(loaded.json)
      }
    }
  }

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say everything that is wrong with a configuration, its certificates included.")

    @OptionGroup var arguments: ConfigurationArguments

    func run() throws {
      let loaded = try arguments.load()
      if loaded.configuration.needsCertificate {
        do throws(TLSCredentials.Problem) {
          _ = try TLSCredentials(loaded.configuration)
        } catch {
          throw CommandFailure(.usage, error.description)
        }
      }
      for warning in loaded.warnings { print("warning: \(warning)") }
      print("replica \(loaded.configuration.replica.rawValue): the configuration is fine")
    }
  }

  struct Keys: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, markdown }

    static let configuration = CommandConfiguration(
      abstract: "List every key: its variable and flag, its default, what it means.")

    @Option(help: "text, json or markdown.") var format = Format.text

    func run() throws {
      switch format {
      case .text:
        for section in ConfigurationKey.sections {
          print("\(section.title)\n")
          for key in section.keys {
            let usual = key.isRequired ? "required" : key.defaultText.map { "default: \($0)" }
            print("  \(key.name)  (\(usual ?? "not set by default"))")
            print("      \(key.summary)\(key.isShared ? " Same on all replicas." : "")")
            print("      \(key.expected)")
            print("      \(key.variable)  \(key.flag)\n")
          }
        }
      case .json:
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let keys = ConfigurationKey.all.map { Entry($0) }
        print(String(decoding: try encoder.encode(keys), as: UTF8.self))
      case .markdown: print(ConfigurationKey.markdown, terminator: "")
      }
    }

    private struct Entry: Encodable {
      var key, variable, flag, summary, expected: String
      var usual: String?
      var isRequired, isShared, isList: Bool

      enum CodingKeys: String, CodingKey {
        case key, variable, flag, summary, expected, isRequired, isShared, isList
        case usual = "default"
      }

      init(_ row: ConfigurationKey) {
        (key, variable, flag) = (row.name, row.variable, row.flag)
        (summary, expected, usual) = (row.summary, row.expected, row.defaultText)
        (isRequired, isShared, isList) = (row.isRequired, row.isShared, row.isList)
      }
    }
  }
}
