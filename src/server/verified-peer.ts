import { createHash, type X509Certificate } from 'node:crypto'
import { readExtensions, type SubjectAltNames } from '../security/certificate-extensions.ts'
import type { TrustBundles } from '../security/trust-bundle.ts'

/** The other end of a connection, as its certificate names it; made only of certificates that were verified. */
export class VerifiedPeer {
  readonly certificate: X509Certificate
  /** Names that authorization may ask for: the URIs, else the DNS names, else the subject (gRFC A41). */
  readonly principals: readonly string[]
  /** All of them: the URIs, the DNS names and the subject. */
  readonly allNames: readonly string[]
  readonly names: SubjectAltNames | undefined
  /** The roots that it was verified with, where they are the mesh's. */
  readonly bundles: TrustBundles | undefined
  /** SPIFFE ID of this process; may be empty. */
  readonly ownId: string
  #forwarded: string | undefined

  /**
   * @param ownId SPIFFE ID of this process; may be empty
   * @throws Error when the certificate names something that is no text
   */
  constructor(certificate: X509Certificate, ownId: string, bundles: TrustBundles | undefined) {
    this.bundles = bundles
    this.certificate = certificate
    this.names = readExtensions(certificate.raw).subjectAltNames
    const { uris = [], dnsNames = [] } = this.names ?? {}
    const subject = distinguishedName(certificate.subject ?? '')
    this.principals = uris.length > 0 ? uris : dnsNames.length > 0 ? dnsNames : [subject]
    this.allNames = [...uris, ...dnsNames, subject]
    this.ownId = ownId
    this.#forwarded = undefined
  }

  /** Its SPIFFE ID; empty where it has none. */
  get spiffeId(): string {
    const [uri = ''] = this.names?.uris ?? []
    return uri.startsWith('spiffe://') ? uri : ''
  }

  /** The one name of it that is told to others: its first URI, else its first DNS name, else its subject as RFC 2253 has it. */
  get name(): string {
    const { uris = [], dnsNames = [] } = this.names ?? {}
    return uris[0] ?? dnsNames[0] ?? textOf(this.certificate.subject ?? '')
  }

  /** The value of `x-forwarded-client-cert`, as Envoy writes it. */
  get forwardedClientCert(): string {
    if (this.#forwarded === undefined) {
      const parts = [
        ...(this.ownId === '' ? [] : [`By=${this.ownId}`]),
        `Hash=${createHash('sha256').update(this.certificate.raw).digest('hex')}`,
        `Subject="${textOf(this.certificate.subject ?? '')}"`,
        ...(this.names?.uris ?? []).map(uri => `URI=${quote(uri)}`),
        ...(this.names?.dnsNames ?? []).map(name => `DNS=${quote(name)}`),
      ]
      this.#forwarded = parts.join(';')
    }
    return this.#forwarded
  }
}

/** RFC 2253, most specific first, of Node's one attribute a line. */
function distinguishedName(subject: string): string {
  return subject.split('\n').reverse().join(',')
}

/** The same for a header: what none may hold is left out. */
function textOf(subject: string): string {
  return distinguishedName(subject)
    .replaceAll(/[^\x20-\x7e]/g, '')
    .replaceAll(/["\\]/g, '\\$&')
}

function quote(value: string): string {
  return /[",;=\\]/.test(value) ? `"${value.replaceAll(/["\\]/g, '\\$&')}"` : value
}
