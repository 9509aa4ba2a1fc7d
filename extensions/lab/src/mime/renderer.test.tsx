import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { made } from './made';
import { ExplanationWidget, MIME, factory } from './renderer';

const SAY = nullTranslator.load('');
const ATTACK = '<img src=x onerror="window.attacked = 1"><script>window.attacked = 1</script>';

async function rendered(data: unknown, text = 'as text'): Promise<ExplanationWidget> {
  const widget = new ExplanationWidget(SAY);
  Widget.attach(widget, document.body);
  await widget.renderModel({ data: { [MIME]: data, 'text/plain': text } } as never);
  return widget;
}

afterEach(() => {
  document.body.textContent = '';
});

describe('renderer', () => {
  it('is safe, and asked before pictures and texts', () => {
    expect(factory(SAY)).toMatchObject({ safe: true, mimeTypes: [MIME], defaultRank: 10 });
  });

  it('has drawn once it returns: pictures with names, and their numbers as tables', async () => {
    const { node } = await rendered(made());

    const [bars, way] = node.querySelectorAll('svg[role="img"]');
    expect(bars.getAttribute('aria-label')).toBe(
      'Why the probability of repaid is 0.65: shares by SHAP (trees, exact), LIME, on one scale'
    );
    expect(way.getAttribute('aria-label')).toBe(
      'The way from the base 0.5 to the probability of repaid, 0.65'
    );
    const cells = [...(node.querySelector('table')?.querySelectorAll('tbody tr') ?? [])].map(row =>
      [...row.children].map(cell => cell.textContent)
    );
    expect(cells).toEqual([
      ['income', '30.5 €', '+0.2', '+0.3'],
      ['town', 'Ulm', '−0.1', 'not selected'],
      ['debt', 'missing', '+0.05', '+0.1']
    ]);
    expect(node.textContent).toContain('Note: The background is one single row.');
  });

  it('draws many rows as what matters, swarms and dependence', async () => {
    const { node } = await rendered(made(40));

    expect([...node.querySelectorAll('svg')].map(each => each.getAttribute('aria-label'))).toEqual([
      'What matters for the probability of repaid: mean sizes of the shares of 40 rows',
      'Shares of each row by SHAP (trees, exact), for the features that matter most',
      'How the share of income depends on its value'
    ]);
    expect(node.querySelectorAll('circle.nbp-Point').length).toBeGreaterThan(120);
  });

  it('changes class by the choice of its reader', async () => {
    const { node } = await rendered(made());
    const select = node.querySelector('select') as HTMLSelectElement;

    select.value = 'default';
    select.dispatchEvent(new Event('change', { bubbles: true }));
    await new Promise(resolve => setTimeout(resolve));

    expect(node.textContent).toContain('the probability of default is 0.35');
  });

  it('draws markup as the text that it is', async () => {
    const { node } = await rendered(
      made(1, {
        feature_names: [ATTACK, '__proto__', 'c'],
        output_names: [ATTACK],
        complement: null,
        notes: [ATTACK],
        data: [[ATTACK, 1, 2]]
      })
    );

    expect(node.querySelector('script, img')).toBeNull();
    expect(node.textContent).toContain(ATTACK);
    expect((window as never as { attacked?: number }).attacked).toBeUndefined();
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['a text', ATTACK],
    ['another version', { version: 9, explanations: [] }],
    ['wrong shapes', made(1, { values: [[[1]]] })],
    ['what is not finite', made(1, { base: [[Infinity]] })]
  ])('shows the text and why for %s', async (_, data) => {
    const { node } = await rendered(data, 'the text');

    expect(node.querySelector('[role="note"]')?.textContent).toContain('This explanation is not drawn:');
    expect(node.querySelector('pre')?.textContent).toBe('the text');
    expect(node.querySelector('svg')).toBeNull();
  });

  it('stays small with a name of a megabyte', async () => {
    const { node } = await rendered(made(1, { feature_names: ['x'.repeat(1_000_000), 'b', 'c'] }));

    expect(node.textContent?.length).toBeLessThan(10_000);
    expect(node.querySelector('svg')).not.toBeNull();
  });

  it('is gone when it is disposed of', async () => {
    const widget = await rendered(made());

    widget.dispose();
    await Promise.resolve();

    expect(document.querySelector('svg')).toBeNull();
  });
});
