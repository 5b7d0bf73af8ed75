import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Benchmark } from './benchmark.ts'
import { sample } from './paired.ts'
import type { RotationSettings } from './rotation/contender.ts'
import type { AuthoritySettings } from './rotation/control-plane.ts'
import type { RotationServerSettings } from './rotation/server.ts'
import { start } from './started.ts'

/**
 * Calls as fast as the machine makes them, by mutual TLS, while both sides change their certificates every 5 s and the authority its root
 * in the middle. `inmesh` counts the calls that failed.
 */
export const benchmark: Benchmark = {
  name: 'rotation',
  title: 'failed calls at the highest rate, while certificates change every 5 s and the root in the middle',
  async *run({ quick }) {
    const seconds = quick ? 12 : 40
    for (const protocol of ['http', 'grpc'] as const) {
      const folder = await mkdtemp(join(tmpdir(), 'inmesh-rotation-'))
      try {
        const rotateAfterMs = (seconds * 1000) / 2
        using _plane = await start(new URL('rotation/control-plane.ts', import.meta.url), {
          folder,
          rotateAfterMs,
        } satisfies AuthoritySettings)
        using server = await start(new URL('rotation/server.ts', import.meta.url), {
          folder,
          protocol,
        } satisfies RotationServerSettings)
        const { value, ...more } = await sample({
          module: new URL('rotation/contender.ts', import.meta.url),
          settings: { folder, protocol, port: server.port, seconds, concurrency: 16 } satisfies RotationSettings,
        })
        yield {
          name: `rotation/${protocol}`,
          unit: 'failed calls',
          baseline: null,
          inmesh: value,
          ratio: null,
          pairs: 1,
          ...more,
        }
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    }
  },
}
