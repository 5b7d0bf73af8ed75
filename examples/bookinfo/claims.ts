import { setTimeout as wait } from 'node:timers/promises'
import { allRatings, type Bookinfo, type Seen, splitRatings, splitReviews } from './bookinfo.ts'
import { isAnswered, serialOf } from './outsider.ts'

/** Whether what a mesh promises was seen, and the figures that say so. */
export interface Verdict {
  readonly held: boolean
  readonly figures: string
}

/** One promise, shown on the running application. Each leaves it healthy for the next. */
export interface Claim {
  readonly name: string
  show(app: Bookinfo): Promise<Verdict>
}

const count = (counts: Readonly<Record<string, number>>, name: string) => counts[name] ?? 0
const percent = (part: number, whole: number) => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`
const quantile = (values: readonly number[], q: number) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * q)] ?? Number.NaN
const failures = ({ failed, calls, failures }: Seen) =>
  `${failed} of ${calls} calls failed${failed > 0 ? ` (${spread(failures)})` : ''}`
const spread = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .sort()
    .map(([name, times]) => `${name} ${times}`)
    .join(', ')
const names = (counts: Readonly<Record<string, number>> | undefined) => Object.keys(counts ?? {}).join()

const discovery: Claim = {
  name: 'discovery',
  async show(app) {
    const everybody = (seen: Seen) =>
      [seen.productpage, seen.details, seen.reviews, seen.ratings].map(counts => Object.keys(counts).length).join() === '2,2,6,2'
    // A dozen processes that start at once are slow at first, and what is slow is ejected for a while.
    const isCalm = (seen: Seen) => seen.failed === 0 && everybody(seen) && quantile(seen.latencies, 0.9) < 100
    await app.until('an answer of every instance', async () => isCalm(await app.measure(1500)), 90_000)
    app.receiver.mark()
    const seen = await app.measure(4000)
    const figures = [seen.productpage, seen.details, seen.reviews, seen.ratings].map(spread).join('; ')
    return {
      held: seen.failed === 0 && everybody(seen),
      figures: `12 instances registered themselves; ${figures}; ${failures(seen)}`,
    }
  },
}

const canary: Claim = {
  name: 'canary 90/10',
  async show(app) {
    app.writeReviews(splitReviews({ v1: 90, v3: 10 }))
    await app.until('the canary', async () => count((await app.measure(500)).versions, 'v2') === 0)
    const seen = await app.measure(10_000)
    const share = count(seen.versions, 'v3') / seen.calls
    const figures = `v1 ${percent(count(seen.versions, 'v1'), seen.calls)}, v3 ${percent(count(seen.versions, 'v3'), seen.calls)}; ${failures(seen)}`
    return { held: seen.failed === 0 && share > 0.05 && share < 0.15, figures }
  },
}

const abTest: Claim = {
  name: 'A/B for end-user: jason',
  async show(app) {
    const match = 'match: [{ headers: { end-user: { exact: jason } } }]\n      '
    app.writeReviews(splitReviews({ v2: 100 }, match) + splitReviews({ v1: 100 }))
    await app.until('the A/B route', async () => names((await app.measure(500)).byUser.jason) === 'v2')
    const seen = await app.measure(3000)
    const { jason = {}, others = {} } = seen.byUser
    const held = seen.failed === 0 && names(jason) === 'v2' && names(others) === 'v1'
    return { held, figures: `jason sees ${spread(jason)}; the others see ${spread(others)}; ${failures(seen)}` }
  },
}

const blueGreen: Claim = {
  name: 'blue-green by editing one file',
  async show(app) {
    app.writeReviews(splitReviews({ v1: 100 }))
    await app.until('blue', async () => names((await app.measure(500)).versions) === 'v1')
    await app.measure(1000)
    const switchedAt = Date.now()
    app.writeReviews(splitReviews({ v3: 100 }))
    await wait(3000)
    const seen = await app.look()
    const lastBlueMs = Math.max(0, count(seen.lastSeen, 'v1') - switchedAt)
    const held = seen.failed === 0 && lastBlueMs < 2000 && count(seen.versions, 'v3') > 0
    return { held, figures: `last answer of v1 ${lastBlueMs} ms after the edit; ${spread(seen.versions)}; ${failures(seen)}` }
  },
}

const killedInstance: Claim = {
  name: 'a killed instance',
  async show(app) {
    await app.measure(500)
    await app.killInstance('reviews-v3-a')
    await wait(3500)
    const seen = await app.look()
    const held = seen.failed === 0 && count(seen.reviews, 'reviews-v3-b') > 0
    return { held, figures: `reviews-v3-a killed under load; ${spread(seen.reviews)}; ${failures(seen)}` }
  },
}

const grpcCanary: Claim = {
  name: 'canary 90/10 over gRPC',
  async show(app) {
    app.writeRatings(splitRatings({ v1: 90, v2: 10 }))
    const share = ({ ratingsVersions: { v1 = 0, v2 = 0 } }: Seen) => v2 / Math.max(1, v1 + v2)
    await app.until('the canary', async () => share(await app.measure(1000)) < 0.25)
    const seen = await app.measure(8000)
    const held = seen.failed === 0 && share(seen) > 0.05 && share(seen) < 0.15
    return { held, figures: `ratings ${spread(seen.ratingsVersions)}; ${failures(seen)}` }
  },
}

const grpcKilledInstance: Claim = {
  name: 'a killed instance over gRPC',
  async show(app) {
    app.writeRatings(allRatings)
    await app.until('both ratings', async () => count((await app.measure(1000)).ratings, 'ratings-b') > 10)
    await app.measure(500)
    await app.killInstance('ratings-a')
    await wait(3500)
    const seen = await app.look()
    const held = seen.failed === 0 && count(seen.ratings, 'ratings-b') > 0
    return { held, figures: `ratings-a killed under load; ${spread(seen.ratings)}; ${failures(seen)}` }
  },
}

const slowInstance: Claim = {
  name: 'a slow instance',
  async show(app) {
    await app.setPace('details-a', 'slow')
    const seen = await app.measure(4000)
    await app.setPace('details-a', 'fast')
    const [p50 = Number.NaN, p99 = Number.NaN] = [0.5, 0.99].map(q => quantile(seen.latencies, q))
    const reached = percent(count(seen.details, 'details-a'), seen.calls)
    const figures = `details-a takes 2 s; ${reached} of the answers are its; p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms; ${failures(seen)}`
    return { held: seen.failed === 0 && p99 < 1500, figures }
  },
}

const lostControlPlane: Claim = {
  name: 'the control plane killed and restarted',
  async show(app) {
    await app.reset()
    await app.killControlPlane()
    await wait(3000)
    app.restartControlPlane()
    await wait(4000)
    app.writeReviews(splitReviews({ v2: 100 }))
    await app.until('the new control plane to be followed', async () => count((await app.look()).versions, 'v2') > 0, 45_000)
    const seen = await app.look()
    return {
      held: seen.failed === 0,
      figures: `gone for 3 s, back, and followed again; ${spread(seen.versions)}; ${failures(seen)}`,
    }
  },
}

const badEdit: Claim = {
  name: 'a bad edit refused',
  async show(app) {
    await app.until('v2 alone', async () => names((await app.measure(500)).versions) === 'v2')
    await app.reset()
    app.writeReviews(splitReviews({ v2: 100 }).replace('weight: 100', 'weight: heavy'))
    const refusal = () => app.controlPlaneLines.find(line => line.includes('reviews.yaml') && line.includes('weight'))
    await app.until('the refusal', () => refusal() !== undefined, 10_000)
    await wait(1500)
    const seen = await app.look()
    const [where = ''] = refusal()?.match(/reviews\.yaml:\d+:\d+.*/) ?? []
    const held = seen.failed === 0 && where !== '' && names(seen.versions) === 'v2'
    return { held, figures: `${where}; the last good revision serves: ${spread(seen.versions)}; ${failures(seen)}` }
  },
}

const oneTrace: Claim = {
  name: 'one trace across all services',
  async show(app) {
    const all = 'details,productpage,ratings,reviews,traffic'
    const widest = () => app.receiver.widestTrace()
    await app.until('a trace across all services', () => widest().services.join() === all, 15_000)
    const { traceId, spans, services } = widest()
    return { held: services.join() === all, figures: `${traceId} has ${spans} spans of ${services.join(', ')}` }
  },
}

const strangers: Claim = {
  name: 'strangers are refused',
  async show(app) {
    const services = ['productpage', 'details', 'reviews', 'ratings']
    const addresses = services.flatMap(service => app.addressesOf(service))
    const plain = await Promise.all(addresses.map(at => isAnswered(at, 'plaintext')))
    const tls = await Promise.all(addresses.map(at => isAnswered(at, 'TLS without a certificate')))
    const answered = [...plain, ...tls].filter(Boolean).length
    const stranger = await app.askAsStranger()
    return {
      held: addresses.length > 0 && answered === 0 && stranger === '403 RBAC: access denied',
      figures: `${answered} of ${2 * addresses.length} calls without a certificate were answered; a workload with another identity got ${stranger}`,
    }
  },
}

const rotation: Claim = {
  name: 'certificates rotated twice under load',
  async show(app) {
    const serials = async () => (await Promise.all(app.addressesOf('reviews').map(serialOf))).sort()
    await app.reset()
    const seen = [await serials()]
    for (let round = 1; round <= 2; round++) {
      const before = seen.at(-1) ?? []
      await app.until('new certificates', async () => (await serials()).every(serial => !before.includes(serial)), 90_000)
      seen.push(await serials())
    }
    const look = await app.look()
    const different = new Set(seen.flat()).size
    return {
      held: look.failed === 0 && look.calls > 0 && different >= 3 * (seen[0]?.length ?? 1),
      figures: `reviews has had ${different} certificates on ${seen[0]?.length ?? 0} instances; ${failures(look)}`,
    }
  },
}

/** In the order in which they are shown. */
export const claims: readonly Claim[] = [
  discovery,
  canary,
  abTest,
  blueGreen,
  killedInstance,
  grpcCanary,
  grpcKilledInstance,
  slowInstance,
  lostControlPlane,
  badEdit,
  oneTrace,
  strangers,
  rotation,
]
