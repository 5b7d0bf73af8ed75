// Wanted by @peculiar/x509 before it is loaded.
import 'reflect-metadata'
import type { webcrypto } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import * as x509 from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** A certificate and its key, as PEM files and text. */
export interface TestIdentity {
  readonly certificateFile: string
  readonly privateKeyFile: string
  readonly certificate: string
  readonly privateKey: string
}

/** A certificate authority made for one test; its files are gone when the test is over. */
export class TestCa {
  /** PEM of the root. */
  readonly certificate: string
  readonly certificateFile: string
  readonly #folder: string
  readonly #keys: webcrypto.CryptoKeyPair
  readonly #root: x509.X509Certificate
  #serial = 1

  private constructor(folder: string, keys: webcrypto.CryptoKeyPair, root: x509.X509Certificate) {
    this.#folder = folder
    this.#keys = keys
    this.#root = root
    this.certificate = root.toString('pem')
    this.certificateFile = join(folder, 'ca.pem')
  }

  static async create(t: TestContext): Promise<TestCa> {
    const folder = await mkdtemp(join(tmpdir(), 'inmesh-ca-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=test root',
      keys,
      signingAlgorithm: algorithm,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    })
    const ca = new TestCa(folder, keys, root)
    await writeFile(ca.certificateFile, ca.certificate)
    return ca
  }

  /** @param names `dns:…`, `ip:…` or `url:…` */
  async issue(...names: readonly `${'dns' | 'ip' | 'url'}:${string}`[]): Promise<TestIdentity> {
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const serial = this.#serial++
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial.toString(16).padStart(2, '0'),
      subject: 'CN=test leaf',
      issuer: this.#root.subject,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.SubjectAlternativeNameExtension(
          names.map(name => {
            const at = name.indexOf(':')
            return { type: name.slice(0, at) as 'dns' | 'ip' | 'url', value: name.slice(at + 1) }
          }),
        ),
      ],
    })
    const identity = {
      certificateFile: join(this.#folder, `${serial}.pem`),
      privateKeyFile: join(this.#folder, `${serial}.key`),
      certificate: certificate.toString('pem'),
      privateKey: x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'),
    }
    await writeFile(identity.certificateFile, identity.certificate)
    await writeFile(identity.privateKeyFile, identity.privateKey)
    return identity
  }
}
