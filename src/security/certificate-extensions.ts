import { type DerValue, readDer, readOid, readSequence } from './der.ts'

/** What the extensions of a certificate say (RFC 5280 section 4.2), read from its DER: Node has no getter for most of it. */
export interface CertificateExtensions {
  readonly subjectAltNames: SubjectAltNames | undefined
  /** `basicConstraints.cA`; false without the extension. */
  readonly isCa: boolean
  readonly keyUsage: KeyUsage | undefined
  /** Object identifiers of `extKeyUsage`; `undefined` without the extension. */
  readonly extendedKeyUsage: readonly string[] | undefined
  readonly hasNameConstraints: boolean
  readonly hasEmptySubject: boolean
  /** Critical extensions that none of the fields here stand for. */
  readonly unknownCritical: readonly string[]
}

/** The general names of a certificate, by kind. Bytes that are not ASCII are refused, and so are control characters. */
export interface SubjectAltNames {
  readonly isCritical: boolean
  readonly uris: readonly string[]
  readonly dnsNames: readonly string[]
  readonly emails: readonly string[]
  /** In text form. */
  readonly ipAddresses: readonly string[]
}

/** Bits of `keyUsage`. */
export interface KeyUsage {
  readonly isCritical: boolean
  readonly digitalSignature: boolean
  readonly keyCertSign: boolean
  readonly crlSign: boolean
}

const oids = {
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extKeyUsage: '2.5.29.37',
  nameConstraints: '2.5.29.30',
}

interface Extension {
  readonly isCritical: boolean
  readonly value: Uint8Array
}

/**
 * Reads the extensions of a certificate.
 *
 * @param der of a whole certificate
 * @throws Error when it is not one, or names something that is no text
 */
export function readExtensions(der: Uint8Array): CertificateExtensions {
  const [certificate] = readDer(der)
  const [tbs] = readSequence(certificate)
  const fields = readSequence(tbs)
  const extensions = readList(fields)
  const at = (oid: string) => extensions.get(oid)
  const known = new Set(Object.values(oids))
  return {
    subjectAltNames: read(at(oids.subjectAltName), readAltNames),
    isCa: read(at(oids.basicConstraints), readIsCa) ?? false,
    keyUsage: read(at(oids.keyUsage), readKeyUsage),
    extendedKeyUsage: read(at(oids.extKeyUsage), ({ value }) => readSequence(readDer(value)[0]).map(readOid)),
    hasNameConstraints: extensions.has(oids.nameConstraints),
    hasEmptySubject: subjectOf(fields).length === 0,
    unknownCritical: [...extensions].filter(([oid, { isCritical }]) => isCritical && !known.has(oid)).map(([oid]) => oid),
  }
}

const read = <T>(extension: Extension | undefined, how: (extension: Extension) => T): T | undefined =>
  extension === undefined ? undefined : how(extension)

/** The version comes before the other fields, unless it is the first. */
function subjectOf(fields: readonly DerValue[]): readonly DerValue[] {
  return readSequence(fields[fields[0]?.tag === 0xa0 ? 5 : 4])
}

function readList(fields: readonly DerValue[]): ReadonlyMap<string, Extension> {
  const list = new Map<string, Extension>()
  const holder = fields.find(({ tag }) => tag === 0xa3)
  if (holder === undefined) return list
  const [sequence] = readDer(holder.bytes)
  for (const each of readSequence(sequence)) {
    const [id, second, third] = readSequence(each)
    if (id === undefined || second === undefined) throw new Error('an extension without a value')
    const oid = readOid(id)
    const value = third ?? second
    if (value.tag !== 0x04) throw new Error(`extension ${oid} is no octet string`)
    // RFC 5280 section 4.2: not more than once.
    if (list.has(oid)) throw new Error(`extension ${oid} is there twice`)
    list.set(oid, { isCritical: third !== undefined && second.bytes[0] === 0xff, value: value.bytes })
  }
  return list
}

function readAltNames({ isCritical, value }: Extension): SubjectAltNames {
  const names = readSequence(readDer(value)[0])
  const ofTag = (tag: number) => names.filter(name => name.tag === tag).map(({ bytes }) => readText(bytes))
  const ipAddresses = names.filter(({ tag }) => tag === 0x87).map(({ bytes }) => readIp(bytes))
  return { isCritical, uris: ofTag(0x86), dnsNames: ofTag(0x82), emails: ofTag(0x81), ipAddresses }
}

/** IA5String, without what no name has. */
function readText(bytes: Uint8Array): string {
  for (const byte of bytes) if (byte < 0x20 || byte > 0x7e) throw new Error('a subject alternative name that is no plain text')
  return Buffer.from(bytes).toString('latin1')
}

function readIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) throw new Error('an IP address of a wrong length')
  const groups = Array.from({ length: 8 }, (_, at) => (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16))
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

function readIsCa({ value }: Extension): boolean {
  const [first] = readSequence(readDer(value)[0])
  return first?.tag === 0x01 && first.bytes[0] !== 0
}

function readKeyUsage({ isCritical, value }: Extension): KeyUsage {
  const [bits] = readDer(value)
  if (bits?.tag !== 0x03) throw new Error('keyUsage is no bit string')
  const first = bits.bytes[1] ?? 0
  return {
    isCritical,
    digitalSignature: (first & 0x80) !== 0,
    keyCertSign: (first & 0x04) !== 0,
    crlSign: (first & 0x02) !== 0,
  }
}
