import { nullTranslator } from '@jupyterlab/translation';

import { read } from './explanation';
import { made } from './made';
import {
  MOST_POINTS,
  answer,
  barsOf,
  heightsOf,
  importanceOf,
  likeliest,
  outputsOf,
  pointsOf,
  spread,
  stepsOf,
  swarmsOf
} from './story';

const { explanations } = read(made());
const [shares] = explanations;

const SAY = nullTranslator.load('');

describe('story', () => {
  it('tells the other class of two by the same numbers with the other sign', () => {
    expect(outputsOf(shares)).toEqual(['repaid', 'default']);
    expect(answer(shares, shares.prediction, 0, 'default')).toBeCloseTo(0.35);
    expect(barsOf([shares], 0, 'default', SAY).map(bar => bar.shares[0])).toEqual([-0.2, 0.1, -0.05]);
  });

  it('puts both methods on one order, and says where LIME selected nothing', () => {
    expect(barsOf(explanations, 0, 'repaid', SAY)).toEqual([
      { name: 'income', value: '30.5 €', shares: [0.2, 0.3] },
      { name: 'town', value: 'Ulm', shares: [-0.1, null] },
      { name: 'debt', value: 'missing', shares: [0.05, 0.1] }
    ]);
  });

  it('adds up to the prediction, also where features have no room', () => {
    const all = Array.from({ length: 30 }, (_, at) => at);
    const wide = read({
      ...made(),
      explanations: [
        {
          ...(made().explanations as object[])[0],
          feature_names: all.map(at => `f${at}`),
          feature_units: all.map(() => ''),
          values: [all.map(at => [at / 100])],
          data: [all],
          importance: all.map(at => [at / 100])
        }
      ]
    }).explanations[0];

    const steps = stepsOf(wide, 0, null, SAY);

    expect(steps).toHaveLength(11);
    expect(steps[10].name).toBe('20 other features');
    expect(steps.reduce((sum, step) => sum + step.share, 0)).toBeCloseTo(4.35);
  });

  it('shows the likeliest output first', () => {
    const one = { ...shares, complement: null, outputs: ['a', 'b'], prediction: [[0.2, 0.8]] };

    expect(likeliest(one)).toBe('b');
  });

  it('orders features by the mean sizes over all rows', () => {
    expect(importanceOf(explanations, 'repaid').map(bar => [bar.name, bar.shares])).toEqual([
      ['income', [0.2, 0.3]],
      ['town', [0.1, 0]],
      ['debt', [0.05, 0.1]]
    ]);
  });

  it('draws no more points than there is room for, evenly spread', () => {
    expect(spread(4, 1)).toEqual([0, 1, 2, 3]);
    expect(spread(5000, 10).length * 10).toBeLessThanOrEqual(MOST_POINTS);
    expect(swarmsOf(read(made(3)).explanations[0], null)[0].shares).toEqual([0.2, 0.2, 0.2]);
  });

  it('knows how high a number is among all, and that kinds have no order', () => {
    expect(heightsOf([3, 1, 2, 'x'])).toEqual([1, 0, 0.5, null]);
    expect(heightsOf([7, 7])).toEqual([0.5, 0.5]);
    expect(pointsOf(shares, 1, 'default')).toEqual([{ value: 'Ulm', share: 0.1 }]);
  });
});
