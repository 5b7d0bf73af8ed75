import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startControlPlane } from '@inmesh/control-plane'
import { silentLogger, systemClock } from '../../src/runtime.ts'
import { settings } from '../contender.ts'

/** What {@link ../rotation.ts} asks of this process. */
export interface AuthoritySettings {
  /** Gets the address, and a token for each side. */
  readonly folder: string
  readonly rotateAfterMs: number
}

const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`

// Prints the port of its xDS.
const { folder, rotateAfterMs } = settings<AuthoritySettings>()
const config = join(folder, 'mesh')
mkdirSync(config)
writeFileSync(join(config, 'mesh.yaml'), strict)

// A control plane waits for an hour for clients that may come back before it signs with a new root.
let skippedMs = 0
const clock = { ...systemClock, now: () => systemClock.now() + skippedMs }
const { secure } = await startControlPlane({
  config,
  xdsPort: 0,
  secure: { trustDomain: 'bench', port: 0, bundlePort: 0, defaultTtlMs: 10_000, rootOverlapMs: 0 },
  runtime: { clock, logger: silentLogger },
})
if (secure === undefined) throw new Error('no authority')
for (const name of ['server', 'client']) {
  const { bearer } = await secure.tokens.create(`spiffe://bench/ns/default/sa/${name}`, secure.authority.pin)
  writeFileSync(join(folder, `${name}.token`), bearer)
}
writeFileSync(join(folder, 'address'), secure.address)
setTimeout(async () => {
  skippedMs = 3_600_000
  await secure.rotateRoot()
  setInterval(() => void secure.advanceRotation(), 200)
}, rotateAfterMs)
process.stdout.write(`${secure.address.split(':').at(-1)}\n`)
