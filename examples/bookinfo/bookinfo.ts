import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { OtlpReceiver } from './otlp-receiver.ts'
import { freePort, joinToken, type Running, type Surroundings, startControlPlane, startService } from './processes.ts'

type Counts = Readonly<Record<string, number>>

/** What the traffic process saw since it was last reset. Instances and versions are counted by name. */
export interface Seen {
  readonly calls: number
  readonly failed: number
  readonly failures: Counts
  readonly productpage: Counts
  readonly details: Counts
  readonly reviews: Counts
  /** Versions of reviews. */
  readonly versions: Counts
  readonly ratings: Counts
  readonly ratingsVersions: Counts
  readonly byUser: Readonly<Record<string, Counts>>
  readonly latencies: readonly number[]
  /** Wall-clock time of the newest answer, by version of reviews. */
  readonly lastSeen: Counts
}

const shippedConfig = join(dirname(fileURLToPath(import.meta.url)), 'mesh')
const retries = (on: string) =>
  `      retries: { attempts: 3, perTryTimeout: 3s, retryOn: "${on},reset,connect-failure,refused-stream" }\n`

/** A rule that splits callers between subsets of a service. */
const split = (host: string, weights: Counts, match: string, retryOn: string) =>
  `    - ${match}route:\n${Object.entries(weights)
    .map(([subset, weight]) => `        - { destination: { host: ${host}, subset: ${subset} }, weight: ${weight} }\n`)
    .join('')}${retries(retryOn)}`

/** A rule that splits callers between subsets of reviews. */
export const splitReviews = (weights: Counts, match = '') => split('reviews', weights, match, '5xx')

/** A rule that splits callers between subsets of ratings, which speaks gRPC. */
export const splitRatings = (weights: Counts) => split('ratings', weights, '', 'unavailable')

/** A rule that sends callers to every instance of ratings. */
export const allRatings = `    - route: [{ destination: { host: ratings } }]\n${retries('unavailable')}`

/** The running application: a control plane, twelve instances of four services, and steady traffic to the product page. */
export class Bookinfo {
  readonly receiver: OtlpReceiver
  readonly configDir: string
  readonly #scratch: string
  readonly #surroundings: Surroundings
  readonly #instances = new Map<string, Running>()
  #traffic: Running | undefined
  #controlPlane: Running

  private constructor(scratch: string, receiver: OtlpReceiver, surroundings: Surroundings, controlPlane: Running) {
    this.#scratch = scratch
    this.receiver = receiver
    this.configDir = surroundings.configDir
    this.#surroundings = surroundings
    this.#controlPlane = controlPlane
  }

  /** @param environment of every service, over the demo's own: another OTLP endpoint, for one */
  static async start(environment: Readonly<Record<string, string>> = {}): Promise<Bookinfo> {
    const scratch = mkdtempSync(join(tmpdir(), 'inmesh-bookinfo-'))
    const configDir = join(scratch, 'mesh')
    cpSync(shippedConfig, configDir, { recursive: true })
    const receiver = await OtlpReceiver.start()
    const dataDir = join(scratch, 'data')
    const [xdsPort, securePort, bundlePort] = [await freePort(), await freePort(), await freePort()]
    const ports = { xdsPort, securePort, bundlePort }
    const surroundings = { ...ports, otlpEndpoint: receiver.endpoint, configDir, dataDir, environment }
    const app = new Bookinfo(scratch, receiver, surroundings, startControlPlane(surroundings))
    await app.#startServices()
    return app
  }

  async #startServices(): Promise<void> {
    await this.until('the certificate authority', () =>
      joinToken('traffic', this.#surroundings).then(
        () => true,
        () => false,
      ),
    )
    await Promise.all(
      ['a', 'b'].map(async instance => {
        for (const service of ['productpage', 'details']) await this.#start(service, `${service}-${instance}`, 'v1')
        await this.#start('ratings', `ratings-${instance}`, instance === 'a' ? 'v1' : 'v2')
        for (const version of ['v1', 'v2', 'v3']) await this.#start('reviews', `reviews-${version}-${instance}`, version)
      }),
    )
    this.#traffic = await this.#join('traffic', { RATE: '60' })
  }

  /** What was seen so far. */
  look(): Promise<Seen> {
    return this.#traffic?.ask('look') ?? Promise.reject(new Error('no traffic yet'))
  }

  /** Begins to count anew. */
  async reset(): Promise<void> {
    await this.#traffic?.ask('reset')
  }

  /** What is seen in the next `ms`. */
  async measure(ms: number): Promise<Seen> {
    await this.reset()
    await wait(ms)
    return this.look()
  }

  /** Replaces the routes of reviews in the file that the control plane follows. `http` is the YAML below `http:`. */
  writeReviews(http: string): void {
    this.#writeRoutes('reviews.yaml', http)
  }

  /** The same for ratings. */
  writeRatings(http: string): void {
    this.#writeRoutes('ratings.yaml', http)
  }

  #writeRoutes(file: string, http: string): void {
    const [rules = ''] = readFileSync(join(shippedConfig, file), 'utf8').split(/^ {2}http:$/m)
    writeFileSync(join(this.configDir, file), `${rules}  http:\n${http}`)
  }

  async killInstance(name: string): Promise<void> {
    await this.#instance(name).kill('SIGKILL')
  }

  async setPace(name: string, pace: 'slow' | 'fast'): Promise<void> {
    await this.#instance(name).ask(pace)
  }

  async killControlPlane(): Promise<void> {
    await this.#controlPlane.kill('SIGKILL')
  }

  restartControlPlane(): void {
    this.#controlPlane = startControlPlane(this.#surroundings)
  }

  /** What the control plane wrote lately. */
  get controlPlaneLines(): readonly string[] {
    return this.#controlPlane.lines
  }

  /** Waits until `condition` holds; throws with the last words of every process when it takes longer than `timeoutMs`. */
  async until(what: string, condition: () => Promise<boolean> | boolean, timeoutMs = 30_000): Promise<void> {
    for (const end = Date.now() + timeoutMs; Date.now() < end; await wait(50)) if (await condition()) return
    const last = this.#processes().map(({ name, lines }) => `${name}: ${lines.slice(-3).join(' | ')}`)
    throw new Error(`waited ${timeoutMs / 1000} s for ${what}\n${last.join('\n')}`)
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes().map(process => process.kill()))
    this.receiver.close()
    rmSync(this.#scratch, { recursive: true, force: true, maxRetries: 5 })
  }

  /** Where the instances of a service listen, from what they registered. */
  addressesOf(service: string): readonly { readonly address: string; readonly port: number }[] {
    const file = join(this.#surroundings.dataDir, 'registry.json')
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '{}'
    const found: { service?: string; address?: string; port?: number }[] = []
    JSON.parse(text, (_key, value) => {
      if (typeof value === 'object' && value !== null && value.service === service && 'port' in value) found.push(value)
      return value
    })
    return found.map(({ address = '', port = 0 }) => ({ address, port }))
  }

  /** What a process with an identity of its own is answered by reviews. */
  async askAsStranger(): Promise<string> {
    const stranger = await this.#join('stranger')
    try {
      return await stranger.ask('reviews')
    } finally {
      await stranger.kill()
    }
  }

  async #join(service: string, extra: Readonly<Record<string, string>> = {}): Promise<Running> {
    const INMESH_JOIN_TOKEN = await joinToken(service, this.#surroundings)
    return startService(service, this.#surroundings, { INMESH_JOIN_TOKEN, ...extra })
  }

  async #start(service: string, instance: string, version: string): Promise<void> {
    const environment = { INSTANCE: instance, VERSION: version, INMESH_LABELS: `version=${version}` }
    this.#instances.set(instance, await this.#join(service, environment))
  }

  #instance(name: string): Running {
    const instance = this.#instances.get(name)
    if (!instance) throw new Error(`there is no instance ${name}`)
    return instance
  }

  #processes(): Running[] {
    return [this.#controlPlane, ...(this.#traffic ? [this.#traffic] : []), ...this.#instances.values()]
  }
}
