import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, realpathSync, statSync, watch } from 'node:fs'
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
/** How soon they are read again while there is no identity, or what is there is not good. */
const retryMs = { atStart: 1_000, later: 10_000 }

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
 * swap of links changes no file, or those that their links lead to; folders may come later, and be replaced. What is torn, does not fit
 * together or is no SVID leaves the last good one in use.
 */
export class FileCertificateProvider implements CertificateProvider {
  readonly #files: IdentityFiles
  readonly #runtime: Runtime
  readonly #validator: SvidValidator
  readonly #kept: KeptIdentity
  /** By folder. */
  readonly #watchers = new Map<string, { readonly inode: string; close(): void }>()
  #refresh: Timer | null = null
  #settling: Timer | null = null
  #seen = ''
  /** Why they were not good when they were read last; empty: they were. */
  #problem = ''
  #isClosed = false

  constructor(files: IdentityFiles, runtime: Runtime) {
    this.#files = files
    this.#runtime = runtime
    this.#validator = new SvidValidator(runtime.clock)
    this.#kept = new KeptIdentity(runtime)
    this.#read()
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
    this.#isClosed = true
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#refresh?.cancel()
    this.#settling?.cancel()
    this.#kept.close()
  }

  #schedule(): void {
    const { refreshIntervalMs } = this.#files
    const soonMs = this.current === undefined ? retryMs.atStart : retryMs.later
    this.#refresh?.cancel()
    this.#refresh = this.#runtime.clock.setTimeout(
      () => this.#read(),
      this.#problem === '' ? refreshIntervalMs : Math.min(refreshIntervalMs, soonMs),
    )
  }

  /** Folders are watched by what they are and not by their name: one that was replaced is another. */
  #watch(): void {
    const wanted = this.#folders()
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.get(folder) === watcher.inode) continue
      watcher.close()
      this.#watchers.delete(folder)
    }
    for (const [folder, inode] of wanted) {
      if (this.#watchers.has(folder)) continue
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#settle())
        watcher.on('error', () => watcher.close())
        this.#watchers.set(folder, { inode, close: () => watcher.close() })
      } catch {
        // Where folders cannot be watched the interval has to do.
      }
    }
  }

  /** The folders of the files, and those of what they are links to; each with what it is. */
  #folders(): ReadonlyMap<string, string> {
    const { certificateFile, privateKeyFile, caCertificateFile, spiffeTrustBundleMapFile } = this.#files
    const folders = new Map<string, string>()
    for (const file of [certificateFile, privateKeyFile, caCertificateFile, spiffeTrustBundleMapFile]) {
      for (const find of [() => dirname(file ?? ''), () => dirname(realpathSync(file ?? ''))]) {
        try {
          if (file === undefined) continue
          const folder = find()
          // The number of a folder that was removed may be that of the next.
          const { dev, ino, birthtimeMs } = statSync(folder)
          folders.set(folder, `${dev}:${ino}:${birthtimeMs}`)
        } catch {
          // Not there yet.
        }
      }
    }
    return folders
  }

  #settle(): void {
    this.#settling ??= this.#runtime.clock.setTimeout(() => {
      this.#settling = null
      this.#read()
    }, settleMs)
  }

  #read(): void {
    if (this.#isClosed) return
    // First, so that what changes meanwhile is noticed.
    this.#watch()
    try {
      const texts = this.#texts()
      const seen = createHash('sha256').update(JSON.stringify(texts)).digest('hex')
      if (seen !== this.#seen) {
        this.#warnOfOpenKey()
        this.#kept.set(this.#identityOf(texts))
        this.#seen = seen
      }
      this.#problem = ''
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      const kept = this.current === undefined ? '' : ' (the last good one stays in use)'
      if (reason !== this.#problem) this.#runtime.logger.error(`certificate ${this.#files.certificateFile}: ${reason}${kept}`)
      this.#problem = reason
    }
    this.#schedule()
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
    return makeIdentity(
      {
        chain: certificatesIn(certificate),
        privateKey: createPrivateKey(privateKey),
        roots: bundles === undefined ? certificatesIn(roots ?? '') : undefined,
        federated: bundles === undefined ? [] : parseSpiffeBundleMap(bundles),
      },
      this.#validator,
      undefined,
    )
  }

  #warnOfOpenKey(): void {
    const { privateKeyFile } = this.#files
    if ((statSync(privateKeyFile).mode & 0o007) !== 0)
      this.#runtime.logger.warn(`${privateKeyFile} can be read by everybody on this machine`)
  }
}

const pemBlock = /-----BEGIN ([A-Z0-9 ]+)-----(?:(?!-----BEGIN)[\s\S])*?-----END \1-----/g

/** @throws Error when one is cut short: a bundle that is being written must not look like one that lost a root */
function certificatesIn(pem: string): X509Certificate[] {
  if (pem.replaceAll(pemBlock, '').includes('-----')) throw new Error('what should be PEM is cut short')
  const found = pem.match(pemBlock) ?? []
  return found.filter(block => block.startsWith('-----BEGIN CERTIFICATE-----')).map(block => new X509Certificate(block))
}
