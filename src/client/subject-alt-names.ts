import type { SubjectAltNameMatcher } from '../discovery/model/tls.ts'
import { type CompiledStringMatcher, compileStringMatcher } from '../policies/string-matcher.ts'
import { readExtensions, type SubjectAltNames } from '../security/certificate-extensions.ts'

type Kind = 'uri' | 'dns' | 'email' | 'ip'

/**
 * Checks the names in a certificate against `match_typed_subject_alt_names`. The names are read from its DER, never from Node's text form,
 * in which one name can look like several (CVE-2021-44532). An exact matcher takes a DNS name in either case, and `*.example.com` for a name
 * below it, one label deep (RFC 6125).
 */
export class SubjectAltNameCheck {
  readonly #matchers: readonly {
    readonly type: SubjectAltNameMatcher['type']
    readonly compiled: CompiledStringMatcher
    readonly exact: string
  }[]
  readonly #expected: string

  constructor(matchers: readonly SubjectAltNameMatcher[]) {
    this.#matchers = matchers.map(({ type, matcher }) => ({
      type,
      compiled: compileStringMatcher(matcher),
      exact: matcher.kind === 'exact' ? matcher.value : '',
    }))
    this.#expected = matchers.map(({ matcher }) => (matcher.kind === 'regex' ? matcher.regex : matcher.value)).join(', ')
  }

  /**
   * Why a certificate is none of the expected; `undefined` when it is.
   *
   * @param der of the certificate
   */
  problem(der: Uint8Array): string | undefined {
    let names: SubjectAltNames | undefined
    try {
      names = readExtensions(der).subjectAltNames
    } catch (error) {
      return `certificate cannot be read: ${error instanceof Error ? error.message : String(error)}`
    }
    const found: (readonly [Kind, string])[] = [
      ...(names?.uris ?? []).map(name => ['uri', name] as const),
      ...(names?.dnsNames ?? []).map(name => ['dns', name] as const),
      ...(names?.emails ?? []).map(name => ['email', name] as const),
      ...(names?.ipAddresses ?? []).map(name => ['ip', name] as const),
    ]
    if (found.some(([kind, name]) => this.#matches(kind, name))) return undefined
    return `certificate names none of ${this.#expected} (it has ${found.map(([, name]) => name).join(', ') || 'no name'})`
  }

  #matches(kind: Kind, name: string): boolean {
    return this.#matchers.some(
      ({ type, compiled, exact }) =>
        (type === 'any' || type === kind) &&
        (compiled.matches(name) || (kind === 'dns' && exact !== '' && isDnsName(exact, name))),
    )
  }
}

/** @param certified may be `*.example.com` */
function isDnsName(name: string, certified: string): boolean {
  const dot = certified.startsWith('*.') ? name.indexOf('.') : 0
  return dot >= 0 && name.slice(dot).toLowerCase() === certified.slice(dot === 0 ? 0 : 1).toLowerCase()
}
