import type { MessageInitShape } from '@bufbuild/protobuf'
import {
  FractionalPercent_DenominatorType as Denominator,
  type FractionalPercentSchema,
} from 'inmesh/gen/envoy/type/v3/percent_pb'

/** A percentage as parts of a million, cut off and not rounded, as Istio has it. */
export const fractionalPercent = (percentage: number): MessageInitShape<typeof FractionalPercentSchema> => ({
  numerator: Math.trunc(percentage * 10_000),
  denominator: Denominator.MILLION,
})
