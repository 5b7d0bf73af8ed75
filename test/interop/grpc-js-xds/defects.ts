import { callDefects } from './call-defects.ts'
import type { Defect } from './defect.ts'
import { updateDefects } from './update-defects.ts'
import { waitingDefects } from './waiting-defects.ts'
import { wireDefects } from './wire-defects.ts'

/** The defects found in `@grpc/grpc-js-xds` 1.14.1, by number. docs/grpc.md has a row for each. */
export const defects: readonly Defect[] = [...waitingDefects, ...updateDefects, ...callDefects, ...wireDefects].sort(
  (one, other) => one.number - other.number,
)
