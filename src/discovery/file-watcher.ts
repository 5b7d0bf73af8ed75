import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync, watch } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { JsonValue } from '@bufbuild/protobuf'
import { MeshError } from '../errors.ts'
import type { Runtime, Timer } from '../runtime.ts'
import type { CertificateProvider, WorkloadIdentity } from '../security/certificate-provider.ts'
import { KeptIdentity } from '../security/kept-identity.ts'
import { makeIdentity } from '../security/own-svid.ts'
import { parseSpiffeBundleMap } from '../security/spiffe-bundle.ts'
import { SvidValidator } from '../security/svid-validator.ts'
import { JsonReader } from './json-reader.ts'

/** Files of an identity. Paths are absolute. */
export interface IdentityFiles {
  /** PEM, leaf first. */
  readonly certificateFile: string
  /** PEM. */
  readonly privateKeyFile: string
  /** PEM: the roots of the own trust domain. */
  readonly caCertificateFile?: string | undefined
  /** Bundles of all trust domains (gRFC A87), in the place of the roots. */
  readonly spiffeTrustBundleMapFile?: string | undefined
  /** How often the files are read again, beside when they change. */
  readonly refreshIntervalMs: number
}

/** What is in them. */
interface IdentityTexts {
  readonly certificate: string
  readonly privateKey: string
  readonly roots: string | undefined
  readonly bundles: string | undefined
}

/** The plugin's own default. */
const defaultRefreshMs = 600_000
/** Several files change at once, and a reader in between sees half of it. */
const settleMs = 100

/**
 * The provider of a `file_watcher` entry of `certificate_providers` (gRFC A29, A87): `certificate_file`, `private_key_file`,
 * `ca_certificate_file` or `spiffe_trust_bundle_map_file`, and `refresh_interval`.
 *
 * @throws MeshError `MESH_ERR_BOOTSTRAP` naming the field
 */
export function fileProvider(instance: string, config: JsonValue, runtime: Runtime): FileCertificateProvider {
  const path = `certificate_providers["${instance}"].config`
  const root = JsonReader.of(config, message => new MeshError('MESH_ERR_BOOTSTRAP', `bootstrap: ${path}: ${message}`))
  const file = (field: string) => {
    const value = root.string(field)
    return value ? resolve(value) : undefined
  }
  const required = (field: string) => {
    const value = file(field)
    if (value === undefined) throw root.error(field, 'must be set')
    return value
  }
  const caCertificateFile = file('ca_certificate_file')
  const spiffeTrustBundleMapFile = file('spiffe_trust_bundle_map_file')
  if (caCertificateFile === undefined && spiffeTrustBundleMapFile === undefined)
    throw root.error('ca_certificate_file', 'must be set, or spiffe_trust_bundle_map_file: nobody could be verified')
  const interval = /^(\d+(?:\.\d+)?)s$/.exec(root.string('refresh_interval') ?? '')?.[1]
  const files = {
    certificateFile: required('certificate_file'),
    privateKeyFile: required('private_key_file'),
    caCertificateFile,
    spiffeTrustBundleMapFile,
    refreshIntervalMs: interval === undefined ? defaultRefreshMs : Math.max(1000, Number(interval) * 1000),
  }
  return new FileCertificateProvider(files, runtime)
}

/**
 * An identity in files, as cert-manager, its CSI driver and spiffe-helper write them. They are read again when their folders change, since a
 * swap of links changes no file. What is torn, does not fit together or is no SVID leaves the last good one in use.
 */
export class FileCertificateProvider implements CertificateProvider {
  readonly #files: IdentityFiles
  readonly #runtime: Runtime
  readonly #validator: SvidValidator
  readonly #kept: KeptIdentity
  readonly #watchers: { close(): void }[] = []
  #refresh: Timer | null = null
  #settling: Timer | null = null
  #seen = ''

  constructor(files: IdentityFiles, runtime: Runtime) {
    this.#files = files
    this.#runtime = runtime
    this.#validator = new SvidValidator(runtime.clock)
    this.#kept = new KeptIdentity(runtime)
    this.#warnOfOpenKey()
    this.#read()
    this.#watch()
    this.#schedule()
  }

  get current(): WorkloadIdentity | undefined {
    return this.#kept.current
  }

  /** Resolves when there is an identity. */
  ready(): Promise<void> {
    return this.#kept.ready()
  }

  subscribe(listener: (identity: WorkloadIdentity) => void): () => void {
    return this.#kept.subscribe(listener)
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close()
    this.#refresh?.cancel()
    this.#settling?.cancel()
    this.#kept.close()
  }

  #schedule(): void {
    this.#refresh = this.#runtime.clock.setTimeout(() => {
      this.#read()
      this.#schedule()
    }, this.#files.refreshIntervalMs)
  }

  #watch(): void {
    const { certificateFile, privateKeyFile, caCertificateFile, spiffeTrustBundleMapFile } = this.#files
    const files = [certificateFile, privateKeyFile, caCertificateFile, spiffeTrustBundleMapFile]
    const folders = new Set(files.flatMap(file => (file === undefined ? [] : [dirname(file)])))
    for (const folder of folders) {
      try {
        const watcher = watch(folder, { persistent: false }, () => {
          this.#settling ??= this.#runtime.clock.setTimeout(() => {
            this.#settling = null
            this.#read()
          }, settleMs)
        })
        watcher.on('error', () => watcher.close())
        this.#watchers.push(watcher)
      } catch {
        // Where folders cannot be watched the interval has to do.
      }
    }
  }

  #read(): void {
    try {
      const texts = this.#texts()
      const seen = createHash('sha256').update(JSON.stringify(texts)).digest('hex')
      if (seen === this.#seen) return
      this.#kept.set(this.#identityOf(texts))
      this.#seen = seen
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      const kept = this.current === undefined ? '' : ' (the last good one stays in use)'
      this.#runtime.logger.error(`certificate ${this.#files.certificateFile}: ${reason}${kept}`)
    }
  }

  #texts(): IdentityTexts {
    const { certificateFile, privateKeyFile, caCertificateFile, spiffeTrustBundleMapFile } = this.#files
    const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file, 'utf8'))
    return {
      certificate: readFileSync(certificateFile, 'utf8'),
      privateKey: readFileSync(privateKeyFile, 'utf8'),
      roots: read(caCertificateFile),
      bundles: read(spiffeTrustBundleMapFile),
    }
  }

  #identityOf({ certificate, privateKey, roots, bundles }: IdentityTexts): WorkloadIdentity {
    const chain = certificatesIn(certificate)
    const federated = bundles === undefined ? [] : parseSpiffeBundleMap(bundles)
    const domain = /URI:spiffe:\/\/([^/,]+)/.exec(chain[0]?.subjectAltName ?? '')?.[1]
    const own = federated.find(({ trustDomain }) => trustDomain === domain)
    return makeIdentity(
      {
        chain,
        privateKey: createPrivateKey(privateKey),
        roots: bundles === undefined ? certificatesIn(roots ?? '') : (own?.authorities ?? []),
        federated: federated.filter(bundle => bundle !== own),
      },
      this.#validator,
      undefined,
    )
  }

  #warnOfOpenKey(): void {
    const { privateKeyFile } = this.#files
    const mode = statSync(privateKeyFile, { throwIfNoEntry: false })?.mode ?? 0
    if ((mode & 0o007) !== 0) this.#runtime.logger.warn(`${privateKeyFile} can be read by everybody on this machine`)
  }
}

function certificatesIn(pem: string): X509Certificate[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []
  return found.map(each => new X509Certificate(each))
}
