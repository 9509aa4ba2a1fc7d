import { LONGEST, MOST_FEATURES, Unreadable, read } from './explanation';
import { made } from './made';

function hostile(change: (first: Record<string, unknown>) => void): unknown {
  const bundle = JSON.parse(JSON.stringify(made()));
  bundle.explanations.length = 1;
  change(bundle.explanations[0]);
  return bundle;
}

describe('read', () => {
  it('takes what the kernel writes', () => {
    const bundle = read(made(2));

    expect(bundle.explanations.map(each => each.kind)).toEqual(['shares', 'surrogate']);
    expect(bundle.explanations[0].data[0]).toEqual([30.5, 'Ulm', '']);
    expect(bundle.explanations[1].selected).toEqual([[[0, 2]], [[0, 2]]]);
    expect(bundle.lines).toEqual([]);
  });

  it.each([
    ['nothing', null],
    ['a text', '<script>alert(1)</script>'],
    ['a list', []],
    ['another version', { version: 2, explanations: [] }],
    ['no explanation', { version: 1, explanations: [] }],
    ['a version on the prototype', Object.create({ version: 1, explanations: [] })]
  ])('refuses %s', (_, data) => {
    expect(() => read(data)).toThrow(Unreadable);
  });

  it.each<[string, (first: Record<string, unknown>) => void]>([
    ['a share that is no number', first => (first.values = [[['1'], [0], [0]]])],
    ['a share that is not finite', first => (first.values = [[[null], [0], [0]]])],
    ['too few features', first => (first.values = [[[1]]])],
    ['ragged rows', first => (first.values = [[[1], [2], [3]], [[1]]])],
    ['more predictions than rows', first => (first.prediction = [[1], [2]])],
    ['names that are objects', first => (first.feature_names = [{ toString: 'no' }, 'b', 'c'])],
    ['an unknown kind', first => (first.kind = 'constructor')],
    ['cells that are objects', first => (first.data = [[{ __html: '<b>' }, 1, 2]])],
    ['a complement of several outputs', first => (first.output_names = ['a', 'b'])],
    ['values that are missing', first => delete first.values],
    ['too many numbers', first => (first.values = Array(5001).fill([[0], [0], [0]]))]
  ])('refuses %s', (_, change) => {
    expect(() => read(hostile(change))).toThrow(Unreadable);
  });

  it('refuses a number that JSON cannot hold', () => {
    const bundle = made() as { explanations: { base: number[][] }[] };
    bundle.explanations[0].base = [[NaN]];

    expect(() => read(bundle)).toThrow('no finite number');
  });

  it('refuses two explanations of different things', () => {
    const bundle = made() as { explanations: { unit: string }[] };
    bundle.explanations[1].unit = 'log-odds';

    expect(() => read(bundle)).toThrow('different things');
  });

  it('cuts long texts', () => {
    const bundle = read(hostile(first => (first.feature_names = ['x'.repeat(1_000_000), 'b', 'c'])));

    expect(bundle.explanations[0].names[0]).toHaveLength(LONGEST + 1);
  });

  it('takes names that are names of objects, too, as texts', () => {
    const names = ['__proto__', 'constructor', 'toString'];

    expect(read(hostile(first => (first.feature_names = names))).explanations[0].names).toEqual(names);
  });

  it('keeps the features that matter most of too many, and says how many it left out', () => {
    const all = Array.from({ length: 300 }, (_, at) => at);
    const bundle = read(
      hostile(first => {
        first.feature_names = all.map(at => `f${at}`);
        first.feature_units = all.map(() => '');
        first.values = [all.map(at => [at])];
        first.data = [all];
        first.importance = all.map(at => [at]);
      })
    );

    expect(bundle.leftOut).toBe(300 - MOST_FEATURES);
    expect(bundle.explanations[0].names).toHaveLength(MOST_FEATURES);
    expect(bundle.explanations[0].names[0]).toBe('f100');
    expect(bundle.explanations[0].values[0][0]).toEqual([100]);
  });
});
