import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { authenticationCases } from './authentication-cases.ts'
import { authorizationCases } from './authorization-cases.ts'
import { Judges } from './judges.ts'
import { randomRequests } from './random-policies.ts'

const cases = [...authorizationCases, ...authenticationCases]
const rounds = 40

/** The same policies, by Istio onto a real Envoy and by our control plane onto our server: the same requests get the same answers. */
describe('AuthorizationPolicy is judged as by Istio', () => {
  let judges: Judges

  before(async () => {
    judges = await Judges.start(cases.length + rounds)
  })

  after(() => judges?.close())

  for (const { name, yaml, asks } of cases) {
    test(name, () =>
      judges.judge(yaml, async askBoth => {
        const answers: Record<string, unknown> = {}
        const expected: Record<string, unknown> = {}
        for (const [written, verdict] of Object.entries(asks)) {
          answers[written] = await askBoth(written)
          expected[written] =
            typeof verdict === 'object' ? { istio: verdict.istio, inmesh: verdict.inmesh } : { istio: verdict, inmesh: verdict }
        }
        assert.deepEqual(answers, expected)
      }),
    )
  }

  for (let seed = 1; seed <= rounds; seed++) {
    const { yaml, requests } = randomRequests(seed)
    test(`random policies ${seed}`, () =>
      judges.judge(yaml, async askBoth => {
        for (const request of requests) {
          const { istio, inmesh } = await askBoth(request)
          assert.equal(inmesh, istio, `${request}\n${yaml}`)
        }
      }))
  }
})
