import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock, Logger, Timer } from '../runtime.ts'
import type { RegisteredWorkload } from './registered-workload.ts'
import type { StoredRegistration } from './workload-registry.ts'

const formatVersion = 1

/** Writes the registry down, so that a control plane that starts again knows at once who was there. */
export class RegistryFile {
  readonly #path: string
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #quietMs: number
  #timer: Timer | undefined
  #latest: readonly StoredRegistration[] | undefined
  #writing: Promise<void> = Promise.resolve()

  /** @param quietMs changes within this time are written once; default 200 ms */
  constructor(path: string, clock: Clock, logger: Logger, quietMs = 200) {
    this.#path = path
    this.#clock = clock
    this.#logger = logger
    this.#quietMs = quietMs
  }

  /** What was written last; `undefined` when there is nothing, or nothing readable. */
  async read(): Promise<readonly StoredRegistration[] | undefined> {
    try {
      const stored: unknown = JSON.parse(await readFile(this.#path, 'utf8'))
      if (isStored(stored)) return stored.registrations
      this.#logger.warn('the stored registry is not readable and is ignored', { path: this.#path })
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!missing)
        this.#logger.warn('the stored registry is not readable and is ignored', { path: this.#path, error: String(error) })
    }
    return undefined
  }

  /** Writes soon. */
  write(registrations: readonly StoredRegistration[]): void {
    this.#latest = registrations
    this.#timer ??= this.#clock.setTimeout(() => this.#start(), this.#quietMs)
  }

  /** Writes what is not written yet. */
  async flush(): Promise<void> {
    this.#start()
    await this.#writing
  }

  #start(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const registrations = this.#latest
    this.#latest = undefined
    if (registrations) this.#writing = this.#writing.then(() => this.#save(registrations))
  }

  async #save(registrations: readonly StoredRegistration[]): Promise<void> {
    const temporary = `${this.#path}.tmp`
    try {
      await mkdir(dirname(this.#path), { recursive: true })
      const file = await open(temporary, 'w', 0o600)
      try {
        await file.writeFile(JSON.stringify({ version: formatVersion, registrations }))
        await file.sync()
      } finally {
        await file.close()
      }
      // Whole or not at all: a crash must not leave half a file.
      await rename(temporary, this.#path)
    } catch (error) {
      this.#logger.warn('the registry could not be written', { path: this.#path, error: String(error) })
    }
  }
}

function isStored(value: unknown): value is { registrations: StoredRegistration[] } {
  if (!isRecord(value) || value.version !== formatVersion || !Array.isArray(value.registrations)) return false
  return value.registrations.every(
    entry =>
      isRecord(entry) && typeof entry.owner === 'string' && Array.isArray(entry.workloads) && entry.workloads.every(isWorkload),
  )
}

function isWorkload(value: unknown): value is RegisteredWorkload {
  if (!isRecord(value) || !isRecord(value.labels) || !isRecord(value.locality)) return false
  const { id, service, namespace, address, protocol, port, weight } = value
  const texts = [id, service, namespace, address, protocol]
  return texts.every(text => typeof text === 'string') && typeof port === 'number' && typeof weight === 'number'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
